#include "solvers/association_step.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "opt/assignment.h"

namespace dashf::solvers {
namespace {

// The allowed split nearest to `local_layers`; at most `k_max` if one so small is allowed.
int NearestSplit(const ScrProblem& problem, int user, double local_layers, int k_max) {
  int best = problem.split_layers[problem.split_begin[user]];
  for (int split = problem.split_begin[user]; split < problem.split_begin[user + 1]; ++split) {
    const int k = problem.split_layers[split];
    if (k <= k_max && std::abs(k - local_layers) < std::abs(best - local_layers)) best = k;
  }
  return best;
}

// phi = k / L for everyone; L itself is left to the enumeration.
std::vector<int> UniformSplits(const ScrProblem& problem, double ratio) {
  std::vector<int> splits;
  for (int n = 0; n < problem.users(); ++n) {
    const int layers = problem.layers[n];
    splits.push_back(NearestSplit(problem, n, ratio * layers, layers - 1));
  }
  return splits;
}

std::vector<int> RelaxedSplits(const ScrProblem& problem, const RelaxedAssociation& relaxed) {
  std::vector<int> splits;
  for (int n = 0; n < problem.users(); ++n) {
    const RelaxedUser& user = relaxed.users[n];
    const int layers = problem.layers[n];
    const double ratio = user.all_local > 0.5 ? 1.0 : user.ratio;
    splits.push_back(NearestSplit(problem, n, ratio * layers, layers));
  }
  return splits;
}

// x plus a normal deviate with the lifting's covariance (Goemans and Williamson 1995 in spirit: the
// lifted matrix is read as second moments). Where the relaxation is nearly integral its covariance
// vanishes and all samples would be one; `spread` is the deviation they have at least.
Eigen::VectorXd Sample(const RelaxedUser& user, double spread, Rng* rng) {
  const Eigen::Index size = user.x.size();
  if (size == 0) return user.x;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(user.covariance);
  Eigen::VectorXd deviate(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    deviate[i] = std::sqrt(std::max(spread * spread, eigen.eigenvalues()[i])) * rng->Normal();
  }
  return user.x + eigen.eigenvectors() * deviate;
}

// The admissible servers that agree most with the scores: max sum of x over slots.
std::vector<int> RoundServers(const ScrProblem& problem,
                              const RelaxedAssociation& relaxed,
                              const std::vector<Eigen::VectorXd>& x) {
  opt::AssignmentProblem assignment;
  for (const int slots : problem.server_slots) {
    assignment.capacity.push_back(std::min(slots, problem.users()));
  }
  for (int n = 0; n < problem.users(); ++n) {
    const std::vector<int>& servers = relaxed.users[n].servers;
    auto& candidates = assignment.candidates.emplace_back();
    for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
      const int m = problem.link_server[link];
      const auto at = std::find(servers.begin(), servers.end(), m);
      // A server that the table left out is taken only where slots leave no other.
      const double score = at == servers.end() ? -1.0 : x[n][at - servers.begin()];
      candidates.push_back({m, -score});
    }
  }
  const auto found = opt::SolveAssignment(assignment);
  DASHF_CHECK(found);  // The incumbent proves that one exists.
  return found->column_of_row;
}

}  // namespace

SplitSearchResult BestSplitsFor(const ScrProblem& problem,
                                double y,
                                const std::vector<int>& server_of_user,
                                const std::vector<std::vector<int>>& split_starts,
                                const std::function<bool()>& out_of_time) {
  std::vector<std::vector<int>> starts = {
      UniformSplits(problem, 0.0), UniformSplits(problem, 0.5), UniformSplits(problem, 1.0)};
  starts.insert(starts.end(), split_starts.begin(), split_starts.end());
  SplitSearchResult best;
  for (std::size_t i = 0; i < starts.size() && (i == 0 || !out_of_time()); ++i) {
    Association association;
    for (std::size_t n = 0; n < server_of_user.size(); ++n) {
      association.push_back({server_of_user[n], starts[i][n]});
    }
    SplitSearchResult found = ChooseSplits(problem, y, association, out_of_time);
    if (i == 0 || found.gain > best.gain) best = std::move(found);
  }
  return best;
}

AssociationStepResult ImproveAssociation(const ScrProblem& problem,
                                         double y,
                                         const Plan& incumbent,
                                         const AssociationOptions& options,
                                         double time_left_s,
                                         Rng rng) {
  const Stopwatch watch;
  const auto out_of_time = [&] { return watch.ElapsedS() >= time_left_s; };
  AssociationStepResult result;
  const PlanTotals now = TotalsOf(problem, incumbent);
  const auto ended = [&] {
    if (result.finalists.empty()) result.finalists.push_back({incumbent, now.score - y * now.cost});
    result.termination = Termination::kTimeLimit;
    return std::move(result);
  };
  if (out_of_time()) return ended();
  const TentativeTable table = MakeTentativeTable(problem, y, incumbent, options.tentative);
  Limits limits = options.relaxation_limits;
  limits.elapsed_s = std::min(limits.elapsed_s, time_left_s - watch.ElapsedS());
  const RelaxedAssociation relaxed = RelaxStepA(problem, table, y, options.relaxation, limits);
  result.bound_upper = relaxed.bound_upper;
  if (out_of_time()) return ended();

  std::vector<int> present_servers, present_splits;
  for (const Decision& decision : incumbent) {
    present_servers.push_back(decision.server);
    present_splits.push_back(decision.local_layers);
  }
  const std::vector<std::vector<int>> split_starts = {RelaxedSplits(problem, relaxed),
                                                      present_splits};
  std::set<std::vector<int>> tried;
  const auto consider = [&](const std::vector<int>& servers) {
    if (!tried.insert(servers).second) return;
    result.finalists.push_back(BestSplitsFor(problem, y, servers, split_starts, out_of_time));
  };
  consider(present_servers);
  constexpr double kSpreads[] = {0.0, 0.2, 0.4, 0.8};  // Against x in [0, 1].
  // Sample 0 is the relaxed x itself.
  for (int sample = 0; sample <= options.samples; ++sample) {
    if (out_of_time()) {
      result.termination = Termination::kTimeLimit;
      break;
    }
    std::vector<Eigen::VectorXd> x;
    for (const RelaxedUser& user : relaxed.users) {
      x.push_back(sample == 0 ? user.x : Sample(user, kSpreads[sample % 4], &rng));
    }
    consider(RoundServers(problem, relaxed, x));
  }
  std::stable_sort(result.finalists.begin(),
                   result.finalists.end(),
                   [](const auto& a, const auto& b) { return a.gain > b.gain; });
  const auto kept = static_cast<std::size_t>(std::max(1, options.finalists));
  if (result.finalists.size() > kept) result.finalists.resize(kept);
  return result;
}

}  // namespace dashf::solvers
