#include "solvers/server_loads.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "solvers/slot_repair.h"

namespace dashf::solvers::internal {

ServerLoads::ServerLoads(const ScrProblem& problem,
                         const Columns& columns,
                         const std::vector<float>& busy_s,
                         const std::vector<std::vector<int>>& choices,
                         int room)
    : problem_(problem),
      columns_(columns),
      busy_s_(busy_s),
      choices_(choices),
      room_(room),
      column_of_user_(choices.size(), -1),
      users_(problem.server_slots.size()),
      load_s_(problem.server_slots.size(), 0.0) {}

std::size_t ServerLoads::ServerOf(int column) const {
  return static_cast<std::size_t>(
      problem_
          .link_server[static_cast<std::size_t>(columns_.link[static_cast<std::size_t>(column)])]);
}

bool ServerLoads::HasRoom(std::size_t server) const {
  return static_cast<int>(users_[server].size()) < std::min(room_, problem_.server_slots[server]);
}

int ServerLoads::ChoiceAt(std::size_t user, std::size_t server) const {
  const std::vector<int>& all = choices_[user];
  const auto at = std::lower_bound(
      all.begin(), all.end(), server, [this](int c, std::size_t m) { return ServerOf(c) < m; });
  return at != all.end() && ServerOf(*at) == server ? *at : -1;
}

void ServerLoads::Put(std::size_t user, int column) {
  column_of_user_[user] = column;
  users_[ServerOf(column)].push_back(user);
  load_s_[ServerOf(column)] += BusyS(column);
}

void ServerLoads::Take(std::size_t user) {
  const int column = column_of_user_[user];
  std::vector<std::size_t>& users = users_[ServerOf(column)];
  users.erase(std::find(users.begin(), users.end(), user));
  load_s_[ServerOf(column)] -= BusyS(column);
}

bool ServerLoads::Fill() {
  std::vector<std::size_t> order(choices_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> least_s(order.size(), std::numeric_limits<double>::infinity());
  for (const std::size_t n : order) {
    for (const int c : choices_[n]) least_s[n] = std::min(least_s[n], BusyS(c));
  }
  std::stable_sort(order.begin(), order.end(), [&least_s](std::size_t a, std::size_t b) {
    return least_s[a] > least_s[b];
  });
  for (const std::size_t n : order) {
    int best = -1;
    for (const bool within_slots : {true, false}) {
      for (const int c : choices_[n]) {
        if (within_slots && !HasRoom(ServerOf(c))) continue;
        const double then_s = load_s_[ServerOf(c)] + BusyS(c);
        if (best < 0 || then_s < load_s_[ServerOf(best)] + BusyS(best)) best = c;
      }
      if (best >= 0) break;
    }
    Put(n, best);
  }
  std::vector<float> psi(busy_s_.size());
  std::transform(busy_s_.begin(), busy_s_.end(), psi.begin(), [](float busy) { return -busy; });
  std::vector<int> repaired = column_of_user_;
  if (!RepairSlots(problem_, columns_, psi, &repaired)) return false;
  for (std::size_t n = 0; n < repaired.size(); ++n) {
    if (repaired[n] == column_of_user_[n]) continue;
    Take(n);
    Put(n, repaired[n]);
  }
  return true;
}

void ServerLoads::Level() {
  constexpr std::size_t kTimesMin = 100, kTimesPerServer = 4;
  const std::size_t times_max = kTimesMin + kTimesPerServer * load_s_.size();
  for (std::size_t i = 0; i < times_max && LevelOnce(); ++i) {
  }
}

bool ServerLoads::LevelOnce() {
  constexpr double kLess = 1e-4;  // Of the load: nearer to level is not worth the time.
  const auto from =
      static_cast<std::size_t>(std::max_element(load_s_.begin(), load_s_.end()) - load_s_.begin());
  double longest_s = (1.0 - kLess) * load_s_[from];
  int leaves = -1, comes = -1;  // Columns: at the other server, and here.
  for (const std::size_t n : users_[from]) {
    const double left_s = load_s_[from] - BusyS(column_of_user_[n]);
    for (const int to : choices_[n]) {
      const std::size_t m = ServerOf(to);
      if (m == from) continue;
      const double joined_s = load_s_[m] + BusyS(to);
      if (HasRoom(m) && std::max(left_s, joined_s) < longest_s) {
        longest_s = std::max(left_s, joined_s);
        leaves = to;
        comes = -1;
      }
      for (const std::size_t other : users_[m]) {
        const double there_s = joined_s - BusyS(column_of_user_[other]);
        if (!(there_s < longest_s)) continue;
        const int back = ChoiceAt(other, from);
        if (back < 0 || !(left_s + BusyS(back) < longest_s)) continue;
        longest_s = std::max(left_s + BusyS(back), there_s);
        leaves = to;
        comes = back;
      }
    }
  }
  if (leaves < 0) return false;
  for (const int c : {leaves, comes}) {
    if (c < 0) continue;
    const auto n = static_cast<std::size_t>(columns_.user[static_cast<std::size_t>(c)]);
    Take(n);
    Put(n, c);
  }
  return true;
}

double ServerLoads::LongestS() const {
  return *std::max_element(load_s_.begin(), load_s_.end());
}

}  // namespace dashf::solvers::internal
