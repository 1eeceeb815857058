#include "solvers/deadline_start.h"

#include <algorithm>

#include "solvers/price_search.h"

namespace dashf::solvers::internal {
namespace {

// The user's split in the plan, on the server that it has there or on each of its servers.
Columns RowsOf(const ScrProblem& problem, const Columns& columns, const Plan& plan, bool anywhere) {
  Columns rows;
  rows.begin.push_back(0);
  for (std::size_t n = 0; n < plan.size(); ++n) {
    for (int i = columns.begin[n]; i < columns.begin[n + 1]; ++i) {
      const auto c = static_cast<std::size_t>(i);
      const Choice choice = columns.ChoiceOf(problem, c);
      if (choice.local_layers != plan[n].local_layers) continue;
      if (!anywhere && choice.server != plan[n].server) continue;
      rows.user.push_back(columns.user[c]);
      rows.link.push_back(columns.link[c]);
      rows.split.push_back(columns.split[c]);
    }
    rows.begin.push_back(static_cast<int>(rows.size()));
  }
  return rows;
}

}  // namespace

Eigen::Vector2d PhasesOf(const ScrProblem& problem, const Plan& plan) {
  Eigen::Vector2d phases_s = Eigen::Vector2d::Zero();
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const UserTotals totals = TotalsOf(problem, static_cast<int>(n), plan[n]);
    const Eigen::Vector2d phases(totals.user_phase_s, totals.server_phase_s);
    phases_s = phases_s.cwiseMax((1.0 + 1e-9) * phases);
  }
  return phases_s;
}

DeadlinePoint StartFromPlan(const ScrProblem& problem,
                            const Columns& columns,
                            const Plan& plan,
                            double y,
                            int threads,
                            double time_limit_s) {
  constexpr double kOwnFirst = 0.3, kOwnLast = 1e-3, kLikeFirst = 0.1, kLikeLast = 1e-2;
  DeadlinePoint point;
  point.phases_s = PhasesOf(problem, plan);
  point.at = FirstPrices(problem, columns, y);
  const DeadlineSearch search(problem, {}, time_limit_s);
  const DeadlineBox box = search.BoxOf(point);
  const auto search_over = [&](const Columns& rows, double first, double last, bool warm) {
    PricedUsers users(problem, rows, threads);
    if (!users.EnterBox(box)) return;
    point.at = SearchPrices(problem,
                            point.at,
                            {.smoothing_first = first,
                             .smoothing_last = last,
                             .warm = warm,
                             .y_max = y,
                             .y_min = y,
                             .time_limit_s = search.TimeLeftS()},
                            &users);
  };
  search_over(RowsOf(problem, columns, plan, false), kOwnFirst, kOwnLast, false);
  // Whose users a server has in the plan makes its prices; the others' would all come to the
  // cheapest. A share of any server scores the same.
  Eigen::Vector4d mean = Eigen::Vector4d::Zero();
  for (const Eigen::Vector4d& price : point.at.price) mean += price;
  mean /= static_cast<double>(point.at.price.size());
  mean[3] = 0.0;
  std::fill(point.at.price.begin(), point.at.price.end(), mean);
  search_over(RowsOf(problem, columns, plan, true), kLikeFirst, kLikeLast, true);
  return point;
}

}  // namespace dashf::solvers::internal
