#include "solvers/first_prices.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dashf::solvers::internal {
namespace {

// A column's terms at y, and the shares that it uses of M / N of everything.
struct Equal {
  UserTerms terms;
  Eigen::Vector3d share;
};

Equal AtEqualShares(const ScrProblem& problem, const Columns& columns, std::size_t c, double y) {
  const double share = std::min(1.0, problem.servers() / static_cast<double>(problem.users()));
  const double w_t = EffectiveDelayWeight(problem);
  const UserTerms terms = MakeUserTerms(problem,
                                        static_cast<std::size_t>(columns.user[c]),
                                        static_cast<std::size_t>(columns.link[c]),
                                        static_cast<std::size_t>(columns.split[c]),
                                        y,
                                        {w_t, w_t},
                                        false);
  return {terms, share * Eigen::Vector3d(terms.uses_bandwidth, terms.uses_power, terms.uses_clock)};
}

}  // namespace

DualPoint FirstPrices(const ScrProblem& problem, const Columns& columns, double y) {
  // The most that resources can be worth to a user: a column that is farther below another of its
  // user's would not be taken for all of them, and says nothing of what they are worth. (With the
  // makespan few users pay for their delay, and these values say little.)
  const double score_most = problem.delay == DelayMode::kSum
                                ? problem.score_scale * std::log1p(3.0 * problem.score_gain)
                                : std::numeric_limits<double>::infinity();
  const auto servers = static_cast<std::size_t>(problem.servers());
  DualPoint at{y, ServerVector(servers, Eigen::Vector4d::Zero())};
  std::vector<double> reached(servers, 0.0);
  std::vector<Equal> equal;
  std::vector<double> value;
  for (std::size_t n = 0; n + 1 < columns.begin.size(); ++n) {
    equal.clear();
    value.clear();
    for (int c = columns.begin[n]; c < columns.begin[n + 1]; ++c) {
      equal.push_back(AtEqualShares(problem, columns, static_cast<std::size_t>(c), y));
      value.push_back(ValueAtShares(equal.back().terms, equal.back().share));
    }
    const double least = *std::max_element(value.begin(), value.end()) - score_most;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!(value[i] >= least)) continue;
      const auto m = static_cast<std::size_t>(equal[i].terms.server);
      at.price[m].head<3>() += MarginalValue(equal[i].terms, equal[i].share).cwiseMax(0.0);
      reached[m] += 1.0;
    }
  }
  for (std::size_t m = 0; m < servers; ++m) at.price[m] /= std::max(1.0, reached[m]);
  return at;
}

std::vector<float> ValuesAtEqualShares(const ScrProblem& problem,
                                       const Columns& columns,
                                       double y) {
  std::vector<float> value;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const Equal equal = AtEqualShares(problem, columns, c, y);
    value.push_back(static_cast<float>(ValueAtShares(equal.terms, equal.share)));
  }
  return value;
}

}  // namespace dashf::solvers::internal
