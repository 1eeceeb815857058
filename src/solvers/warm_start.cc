#include "solvers/warm_start.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dashf::solvers::internal {

Homes MakeHomes(const ScrProblem& problem,
                const Columns& columns,
                const StandingPlan& standing,
                double penalty) {
  Homes homes{.server = {}, .column = {}, .penalty = penalty};
  for (std::size_t n = 0; n < standing.decisions.size(); ++n) {
    const std::optional<Decision>& decision = standing.decisions[n];
    homes.server.push_back(-1);
    homes.column.push_back(-1);
    if (!decision) continue;
    homes.column.back() = columns.Find(problem, n, {decision->server, decision->local_layers});
    for (int c = columns.begin[n]; c < columns.begin[n + 1]; ++c) {
      if (columns.ChoiceOf(problem, static_cast<std::size_t>(c)).server == decision->server) {
        homes.server.back() = decision->server;
      }
    }
  }
  return homes;
}

void Favour(const Homes& homes,
            const ScrProblem& problem,
            const Columns& columns,
            float loyalty,
            std::vector<float>* worth) {
  for (std::size_t n = 0; n < homes.server.size(); ++n) {
    if (homes.server[n] < 0) continue;
    for (int c = columns.begin[n]; c < columns.begin[n + 1]; ++c) {
      const auto column = static_cast<std::size_t>(c);
      const bool home = columns.ChoiceOf(problem, column).server == homes.server[n];
      if (home) (*worth)[column] += loyalty;
      if (c == homes.column[n]) (*worth)[column] += loyalty;
    }
  }
}

Plan CarryOver(const ScrProblem& problem,
               const StandingPlan& standing,
               const Association& association) {
  const std::size_t users = association.size();
  const auto servers = static_cast<std::size_t>(problem.servers());
  std::vector<Eigen::Vector3d> share(users), sum(servers, Eigen::Vector3d::Zero());
  std::vector<double> load(servers, 0.0);
  for (const Choice& choice : association) load[static_cast<std::size_t>(choice.server)] += 1.0;
  std::vector<bool> stays(users, false);
  for (std::size_t n = 0; n < users; ++n) {
    const auto m = static_cast<std::size_t>(association[n].server);
    share[n].setConstant(1.0 / load[m]);
    const std::optional<Decision>& before = standing.decisions[n];
    if (before && association[n] == Choice{before->server, before->local_layers}) {
      const Eigen::Vector3d kept(before->bandwidth_hz / problem.server_bandwidth_hz[m],
                                 before->server_tx_power_w / problem.server_tx_power_w_max[m],
                                 before->server_clock_hz / problem.server_clock_hz_max[m]);
      for (int i = 0; i < 3; ++i) {
        if (kept[i] > 0.0 && kept[i] <= 1.0) share[n][i] = kept[i];
      }
    }
    const int split = problem.FindSplit(static_cast<int>(n), association[n].local_layers);
    const auto k = static_cast<std::size_t>(split);
    const double down = problem.split_download_bit[k];
    if (!(problem.split_upload_bit[k] + down > 0.0)) share[n][0] = 0.0;
    if (!(down > 0.0)) share[n][1] = 0.0;
    if (!(problem.split_server_flop[k] > 0.0)) share[n][2] = 0.0;
    sum[m] += share[n];
  }
  Plan plan;
  const double w_t = EffectiveDelayWeight(problem);
  for (std::size_t n = 0; n < users; ++n) {
    const auto m = static_cast<std::size_t>(association[n].server);
    Point shares = Point::Zero();
    shares.head<3>() = share[n].cwiseQuotient(sum[m].cwiseMax(1.0));
    plan.push_back(DecideAtPrices(problem, static_cast<int>(n), association[n], shares, w_t));
  }
  return plan;
}

std::optional<DualPoint> StandingPrices(const ScrProblem& problem,
                                        const StandingPlan& standing,
                                        double y) {
  DualPoint at{.y = y, .price = {}};
  Eigen::Vector4d sum = Eigen::Vector4d::Zero();
  double count = 0.0;
  std::vector<std::size_t> unpriced;
  for (std::size_t m = 0; m < standing.prices.size(); ++m) {
    at.price.push_back(Eigen::Vector4d::Zero());
    if (!standing.prices[m]) {
      unpriced.push_back(m);
      continue;
    }
    const ServerPrices& price = *standing.prices[m];
    const int slots = problem.server_slots[m];
    at.price[m] = {price.bandwidth_per_hz * problem.server_bandwidth_hz[m],
                   price.power_per_w * problem.server_tx_power_w_max[m],
                   price.clock_per_hz * problem.server_clock_hz_max[m],
                   slots == ScrProblem::kNoSlotLimit ? 0.0 : price.slot * slots};
    sum += at.price[m];
    count += 1.0;
  }
  if (count == 0.0) return std::nullopt;
  for (const std::size_t m : unpriced) at.price[m].head<3>() = sum.head<3>() / count;
  return at;
}

double RatioAtPrices(const ScrProblem& problem,
                     const Columns& columns,
                     const Homes& homes,
                     const DualPoint& at) {
  constexpr int kStepsMax = 5;
  constexpr double kNear = 1e-5;
  const ReplyConstants constants = ConstantsOf(problem);
  const double w_t = constants.delay_weight_per_s;
  double y = at.y;
  for (int step = 0; step < kStepsMax; ++step) {
    double value = 0.0, cost = 0.0;
    for (const Eigen::Vector4d& price : at.price) value += price.sum();
    for (std::size_t n = 0; n < homes.column.size(); ++n) {
      const int home = homes.column[n];
      const int first = home < 0 ? columns.begin[n] : home;
      const int last = home < 0 ? columns.begin[n + 1] : home + 1;
      double best = -std::numeric_limits<double>::infinity(), best_cost = 0.0;
      for (int c = first; c < last; ++c) {
        const auto link = static_cast<std::size_t>(columns.link[static_cast<std::size_t>(c)]);
        const auto split = static_cast<std::size_t>(columns.split[static_cast<std::size_t>(c)]);
        const auto m = static_cast<std::size_t>(problem.link_server[link]);
        const UserTerms terms = MakeUserTerms(problem, n, link, split, y, {w_t, w_t}, false);
        const Reply reply = SolveReply(
            terms, at.price[m].head<3>(), Eigen::Vector3d::Constant(constants.first_share));
        const double psi = reply.psi - at.price[m][3] / problem.server_slots[m];
        if (psi <= best) continue;
        best = psi;
        best_cost = reply.cost;
      }
      value += best;
      cost += best_cost;
    }
    const double change = std::clamp(1.0 + value / cost, 0.5, 2.0);
    y *= change;
    if (std::abs(change - 1.0) <= kNear) break;
  }
  return y;
}

}  // namespace dashf::solvers::internal
