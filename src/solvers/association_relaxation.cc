#include "solvers/association_relaxation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"

namespace dashf::solvers {
namespace {

using opt::BlockSdp;
using opt::Qcqp;
using opt::Relation;

constexpr int kUserPhase = 0, kServerPhase = 1;  // Indices of the scalars T_u, T_s.

// y Cost - score of one choice, without the barriers' part.
double CostOf(const ScrProblem& problem, const StepACosts& costs, const UserTotals& totals) {
  double cost = problem.energy_weight_per_j * totals.energy_j;
  if (problem.delay == DelayMode::kSum) {
    cost += problem.delay_weight_per_s * (totals.user_phase_s + totals.server_phase_s);
  }
  return costs.y * cost - totals.score;
}

// value ~ constant + slope phi, exact at the first point, least squares at the others.
struct AffineFit {
  double constant = 0.0, slope = 0.0;
};

AffineFit FitAffine(const std::vector<double>& phi, const std::vector<double>& value) {
  double product = 0.0, square = 0.0;
  for (std::size_t i = 1; i < phi.size(); ++i) {
    product += (phi[i] - phi[0]) * (value[i] - value[0]);
    square += (phi[i] - phi[0]) * (phi[i] - phi[0]);
  }
  const double slope = square > 0.0 ? product / square : 0.0;
  return {value[0] - slope * phi[0], slope};
}

// One server's choices with k < L of one user.
struct OffloadFits {
  AffineFit cost, phase[2];
};

OffloadFits FitServer(const ScrProblem& problem,
                      const StepACosts& costs,
                      const std::vector<const TentativeChoice*>& choices,
                      int layers) {
  std::vector<double> phi, cost, phase[2];
  for (const TentativeChoice* choice : choices) {
    phi.push_back(static_cast<double>(choice->local_layers) / layers);
    cost.push_back(CostOf(problem, costs, choice->totals));
    phase[kUserPhase].push_back(choice->totals.user_phase_s / costs.time_scale_s);
    phase[kServerPhase].push_back(choice->totals.server_phase_s / costs.time_scale_s);
  }
  return {FitAffine(phi, cost), {FitAffine(phi, phase[0]), FitAffine(phi, phase[1])}};
}

// b, q, s and slots of server m are rows 4 m ... 4 m + 3.
struct CapacityRow {
  double rhs = 0.0;
  bool binds = false;  // Whether the shares of all who might come exceed what there is.
};

std::vector<CapacityRow> CapacityRows(const ScrProblem& problem, const TentativeTable& table) {
  std::vector<CapacityRow> rows(4 * problem.servers());
  std::vector<double> most(rows.size(), 0.0);
  for (std::size_t n = 0; n < table.choices.size(); ++n) {
    int last_server = -1;
    for (const TentativeChoice& choice : table.choices[n]) {
      if (choice.local_layers == problem.layers[n] || choice.server == last_server) continue;
      last_server = choice.server;
      const int link = problem.FindLink(static_cast<int>(n), choice.server);
      for (int r = 0; r < 3; ++r) most[4 * choice.server + r] += table.share_of_link[link][r];
      most[4 * choice.server + 3] += 1.0;
    }
  }
  for (int m = 0; m < problem.servers(); ++m) {
    for (int r = 0; r < 4; ++r) {
      CapacityRow& row = rows[4 * m + r];
      row.rhs = r < 3 ? table.share_max[m][r] : problem.server_slots[m];
      row.binds = most[4 * m + r] > row.rhs * (1.0 + 1e-9);
    }
  }
  return rows;
}

BlockSdp::Scalar BarrierScalar(const ScrProblem& problem, const StepACosts& costs) {
  // No choice's phase exceeds time_scale_s, so no optimum has a barrier above 1.
  return {.cost = costs.y * problem.delay_weight_per_s * costs.time_scale_s, .value_max = 1.0};
}

class QcqpBuilder {
 public:
  QcqpBuilder(const ScrProblem& problem, const TentativeTable& table, const StepACosts& costs)
      : problem_(problem), table_(table), costs_(costs), capacity_(4 * problem.servers()) {}

  StepAQcqp Build() {
    Place();
    if (makespan()) {
      built_.qcqp.scalars.assign(2, BarrierScalar(problem_, costs_));
    }
    for (int n = 0; n < problem_.users(); ++n) AddUser(n);
    AddCapacities();
    return std::move(built_);
  }

 private:
  bool makespan() const { return problem_.delay == DelayMode::kMakespan; }
  int constant() const { return built_.qcqp.variables(); }

  void Place() {
    Qcqp& qcqp = built_.qcqp;
    qcqp.cliques = problem_.users();
    // sum x^2 + l^2 = sum x + l = 1, and phi^2 <= 1.
    qcqp.clique_square_sum_max = 2.0;
    for (int n = 0; n < problem_.users(); ++n) {
      UserVariables& user = built_.users.emplace_back();
      const int layers = problem_.layers[n];
      int k_min = layers, k_max = 0;
      for (const TentativeChoice& choice : table_.choices[n]) {
        if (choice.local_layers == layers) {
          user.all_local = 0;
          continue;
        }
        if (user.servers.empty() || user.servers.back() != choice.server) {
          user.servers.push_back(choice.server);
        }
        k_min = std::min(k_min, choice.local_layers);
        k_max = std::max(k_max, choice.local_layers);
      }
      const auto take = [&qcqp, n] {
        qcqp.clique_of_variable.push_back(n);
        return qcqp.variables() - 1;
      };
      for (std::size_t i = 0; i < user.servers.size(); ++i) {
        const int x = take();
        if (i == 0) user.first_x = x;
      }
      if (user.all_local == 0) user.all_local = take();
      user.ratio_min = std::min(k_min, k_max) / static_cast<double>(layers);
      user.ratio_max = k_max / static_cast<double>(layers);
      if (k_min < k_max) user.ratio = take();
    }
  }

  void AddUser(int n) {
    const UserVariables& user = built_.users[n];
    Qcqp::Row one{.relation = Relation::kEqual, .rhs = 1.0};
    Qcqp::Row phase[2] = {{.scalars = {{kUserPhase, -1.0}}}, {.scalars = {{kServerPhase, -1.0}}}};
    for (std::size_t i = 0; i < user.servers.size(); ++i) {
      const int m = user.servers[i], x = user.first_x + static_cast<int>(i);
      std::vector<const TentativeChoice*> choices;
      for (const TentativeChoice& choice : table_.choices[n]) {
        if (choice.server == m && choice.local_layers < problem_.layers[n]) {
          choices.push_back(&choice);
        }
      }
      const OffloadFits fits = FitServer(problem_, costs_, choices, problem_.layers[n]);
      AddProduct(x, user, fits.cost, &built_.qcqp.cost);
      for (const int i_phase : {kUserPhase, kServerPhase}) {
        const AffineFit& fit = fits.phase[i_phase];
        AddProduct(x, user, fit, &phase[i_phase].terms);
        // A fit may exceed the table's largest time, and with it the barrier.
        for (opt::BlockSdp::Scalar& barrier : built_.qcqp.scalars) {
          barrier.value_max = std::max(barrier.value_max, fit.constant + std::max(0.0, fit.slope));
        }
      }
      AddBinary(x);
      one.terms.push_back({x, constant(), 1.0});
      const auto& share = table_.share_of_link[problem_.FindLink(n, m)];
      for (int r = 0; r < 3; ++r) capacity_[4 * m + r].terms.push_back({x, constant(), share[r]});
      capacity_[4 * m + 3].terms.push_back({x, constant(), 1.0});
    }
    if (user.all_local >= 0) AddAllLocal(n, &one, phase);
    if (user.ratio >= 0) {
      built_.qcqp.rows.push_back(
          {.terms = {{user.ratio, user.ratio, 1.0},
                     {user.ratio, constant(), -(user.ratio_min + user.ratio_max)}},
           .rhs = -user.ratio_min * user.ratio_max});
    }
    built_.qcqp.rows.push_back(std::move(one));
    for (int i = 0; makespan() && i < 2; ++i) built_.qcqp.rows.push_back(std::move(phase[i]));
  }

  // x (constant + slope phi); a user without phi has a single split, at ratio_max.
  void AddProduct(int x,
                  const UserVariables& user,
                  const AffineFit& fit,
                  std::vector<opt::QuadraticTerm>* terms) const {
    terms->push_back({x, constant(), fit.constant});
    if (user.ratio >= 0) {
      terms->push_back({x, user.ratio, fit.slope});
    } else {
      terms->back().coefficient += fit.slope * user.ratio_max;
    }
  }

  void AddBinary(int x) {
    built_.qcqp.rows.push_back(
        {.terms = {{x, x, 1.0}, {x, constant(), -1.0}}, .relation = Relation::kEqual});
  }

  // All-local is the same at every server; the tables list it once per link.
  void AddAllLocal(int n, Qcqp::Row* one, Qcqp::Row phase[2]) {
    const int local = built_.users[n].all_local;
    const auto& choices = table_.choices[n];
    const auto choice = std::find_if(choices.begin(), choices.end(), [&](const auto& candidate) {
      return candidate.local_layers == problem_.layers[n];
    });
    DASHF_CHECK(choice != choices.end());
    built_.qcqp.cost.push_back({local, constant(), CostOf(problem_, costs_, choice->totals)});
    phase[kUserPhase].terms.push_back(
        {local, constant(), choice->totals.user_phase_s / costs_.time_scale_s});
    AddBinary(local);
    one->terms.push_back({local, constant(), 1.0});
  }

  void AddCapacities() {
    const std::vector<CapacityRow> rows = CapacityRows(problem_, table_);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      capacity_[j].rhs = rows[j].rhs;
      if (rows[j].binds) built_.qcqp.rows.push_back(std::move(capacity_[j]));
    }
  }

  const ScrProblem& problem_;
  const TentativeTable& table_;
  const StepACosts& costs_;
  std::vector<Qcqp::Row> capacity_;  // b, q, s, slots of each server.
  StepAQcqp built_;
};

RelaxedUser FromLifting(const UserVariables& user, const Eigen::MatrixXd& z) {
  const auto servers = static_cast<Eigen::Index>(user.servers.size());
  const Eigen::Index constant = z.rows() - 1;
  RelaxedUser relaxed;
  relaxed.servers = user.servers;
  relaxed.x = z.col(constant).head(servers);
  relaxed.covariance = z.topLeftCorner(servers, servers) - relaxed.x * relaxed.x.transpose();
  if (user.all_local >= 0) relaxed.all_local = z(servers, constant);
  relaxed.ratio = user.ratio >= 0 ? z(constant - 1, constant) : user.ratio_max;
  return relaxed;
}

// The distribution over (server, split) as means and covariance of the server's indicator.
RelaxedUser FromWeights(const ScrProblem& problem,
                        const TentativeTable& table,
                        int n,
                        const Eigen::VectorXd& weights) {
  RelaxedUser relaxed;
  std::vector<double> x;
  double offloaded = 0.0;
  for (std::size_t i = 0; i < table.choices[n].size(); ++i) {
    const TentativeChoice& choice = table.choices[n][i];
    const double weight = weights[static_cast<Eigen::Index>(i)];
    if (choice.local_layers == problem.layers[n]) {
      relaxed.all_local += weight;
      continue;
    }
    if (relaxed.servers.empty() || relaxed.servers.back() != choice.server) {
      relaxed.servers.push_back(choice.server);
      x.push_back(0.0);
    }
    x.back() += weight;
    offloaded += weight;
    relaxed.ratio += weight * choice.local_layers / problem.layers[n];
  }
  if (offloaded > 0.0) relaxed.ratio /= offloaded;
  relaxed.x = Eigen::Map<Eigen::VectorXd>(x.data(), static_cast<Eigen::Index>(x.size()));
  relaxed.covariance = relaxed.x.asDiagonal();
  relaxed.covariance -= relaxed.x * relaxed.x.transpose();
  return relaxed;
}

}  // namespace

StepACosts ScaleStepA(const TentativeTable& table, double y) {
  StepACosts costs{.y = y, .time_scale_s = 0.0};
  for (const auto& choices : table.choices) {
    for (const TentativeChoice& choice : choices) {
      costs.time_scale_s =
          std::max({costs.time_scale_s, choice.totals.user_phase_s, choice.totals.server_phase_s});
    }
  }
  if (!(costs.time_scale_s > 0.0)) costs.time_scale_s = 1.0;
  return costs;
}

StepAQcqp MakeStepAQcqp(const ScrProblem& problem,
                        const TentativeTable& table,
                        const StepACosts& costs) {
  return QcqpBuilder(problem, table, costs).Build();
}

opt::BlockSdp MakeStepAHull(const ScrProblem& problem,
                            const TentativeTable& table,
                            const StepACosts& costs) {
  const bool makespan = problem.delay == DelayMode::kMakespan;
  BlockSdp program;
  if (makespan) program.scalars.assign(2, BarrierScalar(problem, costs));
  const std::vector<CapacityRow> rows = CapacityRows(problem, table);
  std::vector<int> index_of_row;
  for (const CapacityRow& row : rows) {
    index_of_row.push_back(row.binds ? static_cast<int>(program.coupling.size()) : -1);
    if (row.binds) program.coupling.push_back({.rhs = row.rhs});
  }
  for (int n = 0; n < problem.users(); ++n) {
    opt::SdpBlock block{.weights = static_cast<int>(table.choices[n].size()), .trace_max = 1.0};
    opt::BlockRow one{.relation = Relation::kEqual, .rhs = 1.0};
    opt::BlockRow phase[2] = {{.scalars = {{kUserPhase, -1.0}}, .relation = Relation::kAtMost},
                              {.scalars = {{kServerPhase, -1.0}}, .relation = Relation::kAtMost}};
    std::map<int, opt::BlockForm> capacity;
    for (int i = 0; i < block.weights; ++i) {
      const TentativeChoice& choice = table.choices[n][i];
      block.cost.weights.push_back({i, CostOf(problem, costs, choice.totals)});
      one.form.weights.push_back({i, 1.0});
      phase[0].form.weights.push_back({i, choice.totals.user_phase_s / costs.time_scale_s});
      phase[1].form.weights.push_back({i, choice.totals.server_phase_s / costs.time_scale_s});
      if (choice.local_layers == problem.layers[n]) continue;
      const auto& share = table.share_of_link[problem.FindLink(n, choice.server)];
      for (int r = 0; r < 4; ++r) {
        const int row = index_of_row[4 * choice.server + r];
        if (row >= 0) capacity[row].weights.push_back({i, r < 3 ? share[r] : 1.0});
      }
    }
    block.rows.push_back(std::move(one));
    for (int i = 0; makespan && i < 2; ++i) block.rows.push_back(std::move(phase[i]));
    for (auto& [row, form] : capacity) block.coupling.push_back({row, std::move(form)});
    program.blocks.push_back(std::move(block));
  }
  return program;
}

RelaxedAssociation RelaxStepA(const ScrProblem& problem,
                              const TentativeTable& table,
                              double y,
                              Relaxation relaxation,
                              const Limits& limits) {
  const StepACosts costs = ScaleStepA(table, y);
  RelaxedAssociation relaxed;
  opt::BlockSdpSolution solution;
  if (relaxation == Relaxation::kSdr) {
    const StepAQcqp step = MakeStepAQcqp(problem, table, costs);
    solution = opt::SolveBlockSdp(opt::RelaxByCliques(step.qcqp), limits);
    for (int n = 0; n < problem.users(); ++n) {
      relaxed.users.push_back(FromLifting(step.users[n], solution.matrices[n]));
    }
  } else {
    solution = opt::SolveBlockSdp(MakeStepAHull(problem, table, costs), limits);
    for (int n = 0; n < problem.users(); ++n) {
      relaxed.users.push_back(FromWeights(problem, table, n, solution.weights[n]));
    }
  }
  relaxed.value = -solution.objective;
  relaxed.bound_upper = -solution.bound_lower;
  relaxed.termination = solution.termination;
  return relaxed;
}

}  // namespace dashf::solvers
