#include "solvers/makespan_starts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/parallel.h"
#include "solvers/resource_terms.h"
#include "solvers/server_loads.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

MakespanStarts::MakespanStarts(const ScrProblem& problem, const Columns& columns)
    : problem_(problem), columns_(columns) {
  const double share =  // Of a server: the mean user's.
      std::min(1.0, static_cast<double>(problem.servers()) / static_cast<double>(problem.users()));
  double earliest_s = 0.0;  // By which all can be ready.
  for (std::size_t n = 0; n + 1 < columns.begin.size(); ++n) {
    double least_s = kInfinity;
    for (int c = columns.begin[n]; c < columns.begin[n + 1]; ++c) {
      const auto i = static_cast<std::size_t>(c),
                 split = static_cast<std::size_t>(columns.split[i]);
      const UserTerms terms = MakeUserTerms(
          problem, n, static_cast<std::size_t>(columns.link[i]), split, 1.0, {1.0, 1.0}, true);
      Row row{.user_phase_s = terms.local_s_min,
              .clock_s = terms.clock_s,
              .local_energy = terms.local_energy,
              .server_energy = terms.clock_energy,
              .fixed_cost = terms.fixed_cost,
              .uses = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock},
              .serves = problem.split_layers[split] != problem.layers[n]};
      double busy_s = terms.clock_s;
      if (terms.uploads) {
        row.upload_s = terms.upload_s / (share * std::log1p(terms.upload_snr / share));
        row.user_phase_s += row.upload_s;
        busy_s += terms.upload_s / std::log1p(terms.upload_snr);
      }
      if (terms.uses_power) busy_s += terms.download_s / std::log1p(terms.download_snr);
      least_s = std::min(least_s, row.user_phase_s);
      phases_s_.push_back(row.user_phase_s);
      rows_.push_back(row);
      busy_s_.push_back(static_cast<float>(busy_s));
    }
    earliest_s = std::max(earliest_s, least_s);
  }
  std::sort(phases_s_.begin(), phases_s_.end());
  phases_s_.erase(std::unique(phases_s_.begin(), phases_s_.end()), phases_s_.end());
  phases_s_.erase(phases_s_.begin(),
                  std::lower_bound(phases_s_.begin(), phases_s_.end(), earliest_s));
  // Slower clocks save energy, whatever the split.
  constexpr int kLonger = 24;
  constexpr double kTimes = 1.2;
  for (int i = 0; i < kLonger; ++i) phases_s_.push_back(kTimes * phases_s_.back());
}

// No shorter than the servers are busy, and longer where slower clocks save more energy than it
// costs: least of w_t T + energy / T^2.
double MakespanStarts::ServerPhaseS(const std::vector<int>& columns, double busy_s) const {
  double energy = 0.0;
  for (const int c : columns) {
    const Row& row = rows_[static_cast<std::size_t>(c)];
    energy += row.server_energy * row.clock_s * row.clock_s;
  }
  return std::max(busy_s, std::cbrt(2.0 * energy / EffectiveDelayWeight(problem_)));
}

double MakespanStarts::EnergyCost(const Row& row,
                                  double user_phase_s,
                                  double server_phase_s) const {
  double cost = row.fixed_cost;
  const double local_s = std::max(user_phase_s, row.user_phase_s) - row.upload_s;
  if (row.local_energy > 0.0) cost += row.local_energy / (local_s * local_s);
  if (row.server_energy > 0.0) {
    const double clock = std::min(1.0, row.clock_s / server_phase_s);
    cost += row.server_energy * clock * clock;
  }
  return cost;
}

template <class Cost>
std::vector<int> MakespanStarts::Choose(std::size_t user,
                                        double user_phase_s,
                                        const Cost& cost_of) const {
  std::vector<int> chosen;
  double least = kInfinity;
  // Late ones by how late they are, and all-local ones, which serve nobody, come last.
  const auto rank = [&](const Row& row) {
    return row.serves ? std::max(user_phase_s, row.user_phase_s) : kInfinity;
  };
  for (int c = columns_.begin[user]; c < columns_.begin[user + 1]; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double cost = cost_of(i);
    if (chosen.empty() ||
        columns_.link[i] != columns_.link[static_cast<std::size_t>(chosen.back())]) {
      chosen.push_back(c);
      least = cost;
      continue;
    }
    const double now = rank(rows_[i]),
                 before = rank(rows_[static_cast<std::size_t>(chosen.back())]);
    if (now > before || (now == before && !(cost < least))) continue;
    chosen.back() = c;
    least = cost;
  }
  return chosen;
}

MakespanStart MakespanStarts::At(double user_phase_s, bool level) const {
  const std::size_t users = columns_.begin.size() - 1;
  double busy_s = 0.0;  // If the servers were one and had the least to do.
  std::vector<int> least(users);
  for (std::size_t n = 0; n < users; ++n) {
    const auto busy = [this](std::size_t i) { return double{busy_s_[i]}; };
    const std::vector<int> choices = Choose(n, user_phase_s, busy);
    least[n] = *std::min_element(choices.begin(), choices.end(), [this](int a, int b) {
      return busy_s_[static_cast<std::size_t>(a)] < busy_s_[static_cast<std::size_t>(b)];
    });
    busy_s += double{busy_s_[static_cast<std::size_t>(least[n])]} / problem_.servers();
  }
  const double server_phase_s = ServerPhaseS(least, busy_s);
  // Where the servers wait for the sake of energy, more to do costs no time.
  const double busy_cost =
      server_phase_s > busy_s ? 0.0 : EffectiveDelayWeight(problem_) / problem_.servers();
  std::vector<std::vector<int>> choices(users);
  for (std::size_t n = 0; n < users; ++n) {
    choices[n] = Choose(n, user_phase_s, [&](std::size_t i) {
      return busy_cost * busy_s_[i] + EnergyCost(rows_[i], user_phase_s, server_phase_s);
    });
  }
  const int mean = (problem_.users() + problem_.servers() - 1) / problem_.servers();
  MakespanStart best{.column_of_user = {}, .user_phase_s = user_phase_s};
  for (const int room : {mean, mean + 1, problem_.users()}) {
    ServerLoads loads(problem_, columns_, busy_s_, choices, room);
    if (!loads.Fill()) return best;
    if (level) loads.Level();
    const double scr = Promise(loads.column_of_user(), user_phase_s, loads.LongestS());
    if (!best.column_of_user.empty() && !(scr > best.scr)) continue;
    best.column_of_user = loads.column_of_user();
    best.scr = scr;
  }
  return best;
}

// Scores with equal shares.
double MakespanStarts::Promise(const std::vector<int>& column_of_user,
                               double user_phase_s,
                               double busy_s) const {
  const double server_phase_s = ServerPhaseS(column_of_user, busy_s);
  const auto server = [this](int c) {
    return static_cast<std::size_t>(
        problem_.link_server[static_cast<std::size_t>(columns_.link[static_cast<std::size_t>(c)])]);
  };
  std::vector<Eigen::Vector3d> needs(problem_.server_slots.size(), Eigen::Vector3d::Zero());
  double cost = EffectiveDelayWeight(problem_) * (user_phase_s + server_phase_s), score = 0.0;
  for (const int c : column_of_user) {
    const Row& row = rows_[static_cast<std::size_t>(c)];
    for (int i = 0; i < 3; ++i) needs[server(c)][i] += row.uses[i];
    cost += EnergyCost(row, user_phase_s, server_phase_s);
  }
  for (const int c : column_of_user) {
    const Row& row = rows_[static_cast<std::size_t>(c)];
    double granted = 0.0;
    for (int i = 0; i < 3; ++i) granted += row.uses[i] ? 1.0 / needs[server(c)][i] : 0.0;
    score += problem_.score_scale * std::log1p(problem_.score_gain * granted);
  }
  return cost > 0.0 ? score / cost : 0.0;
}

// A grid, then ever finer around its best.
std::vector<MakespanStart> MakespanStarts::Best(std::size_t count,
                                                int threads,
                                                const std::function<bool()>& out_of_time) const {
  constexpr std::size_t kUsersTimesPoints = 10000, kFewest = 16, kMost = 200;
  constexpr std::size_t kTimesFiner = 4, kLevelledColumns = 200000;
  const std::size_t users = columns_.begin.size() - 1, last = phases_s_.size() - 1;
  const std::size_t points = std::clamp(kUsersTimesPoints / users, kFewest, kMost);
  std::size_t step = std::max<std::size_t>(1, last / points);
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < last + step; i += step) at.push_back(std::min(i, last));
  std::vector<MakespanStart> best;
  const bool level = columns_.size() <= kLevelledColumns;
  const auto sort = [&best] {
    std::stable_sort(best.begin(), best.end(), [](const MakespanStart& a, const MakespanStart& b) {
      return a.scr > b.scr;
    });
  };
  while (!at.empty() && !out_of_time()) {
    std::vector<MakespanStart> found(at.size());
    ParallelFor(at.size(), threads, [&](std::size_t i) {
      if (!out_of_time()) found[i] = At(phases_s_[at[i]], level);
    });
    for (MakespanStart& one : found) {
      const auto same = [&one](const MakespanStart& other) {
        return other.column_of_user == one.column_of_user;
      };
      if (one.column_of_user.empty() || std::any_of(best.begin(), best.end(), same)) continue;
      best.push_back(std::move(one));
    }
    sort();
    best.resize(std::min(best.size(), count));
    at.clear();
    if (best.empty() || step == 1) break;
    const auto centre = static_cast<std::size_t>(
        std::lower_bound(phases_s_.begin(), phases_s_.end(), best.front().user_phase_s) -
        phases_s_.begin());
    const std::size_t finer = std::max<std::size_t>(1, step / kTimesFiner);
    for (std::size_t i = finer; i < step; i += finer) {
      if (centre >= i) at.push_back(centre - i);
      if (centre + i <= last) at.push_back(centre + i);
    }
    step = finer;
  }
  if (level) return best;
  ParallelFor(best.size(), threads, [&](std::size_t i) {
    if (!out_of_time()) best[i] = At(best[i].user_phase_s, true);
  });
  sort();
  return best;
}

}  // namespace dashf::solvers::internal
