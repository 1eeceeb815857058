#include "solvers/slot_repair.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <tuple>

#include "base/termination.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Repair {
 public:
  Repair(const ScrProblem& problem,
         const Columns& columns,
         const std::vector<float>& psi,
         std::vector<int>* column_of_user)
      : problem_(problem), columns_(columns), psi_(psi), column_of_user_(*column_of_user) {
    users_.resize(problem.server_slots.size());
    exits_.resize(users_.size());
    for (std::size_t n = 0; n < column_of_user_.size(); ++n) {
      users_[ServerOf(column_of_user_[n])].push_back(static_cast<int>(n));
    }
  }

  bool Run(double time_limit_s) {
    const Stopwatch watch;
    for (std::size_t m = 0; m < users_.size(); ++m) {
      while (static_cast<int>(users_[m].size()) > problem_.server_slots[m]) {
        if (watch.ElapsedS() > time_limit_s || !MoveOneFrom(m)) return false;
      }
    }
    return true;
  }

 private:
  // How a server was reached: by the move of the user who left `from` for this column.
  struct Arrival {
    double loss = kInfinity;
    std::size_t from = 0;
    int column = -1;
    bool settled = false;
  };

  std::size_t ServerOf(int column) const {
    return static_cast<std::size_t>(problem_.link_server[static_cast<std::size_t>(
        columns_.link[static_cast<std::size_t>(column)])]);
  }

  // A user's move away from `present`, which holds for as long as that is its column.
  struct Offer {
    double loss = 0.0;  // A move that gains counts as free.
    int present = 0, column = 0;
    bool operator>(const Offer& other) const {
      return std::tie(loss, column) > std::tie(other.loss, other.column);
    }
  };
  using Offers = std::priority_queue<Offer, std::vector<Offer>, std::greater<>>;

  int& ColumnOfUserOf(int column) const {
    return column_of_user_[static_cast<std::size_t>(
        columns_.user[static_cast<std::size_t>(column)])];
  }
  float PsiOf(int column) const { return psi_[static_cast<std::size_t>(column)]; }

  // Offers the user's best column at every other server.
  void AddOffers(int user) {
    const auto n = static_cast<std::size_t>(user);
    const int present = column_of_user_[n];
    const std::size_t here = ServerOf(present);
    std::map<std::size_t, int> best;
    for (int c = columns_.begin[n]; c < columns_.begin[n + 1]; ++c) {
      const auto [at, fresh] = best.emplace(ServerOf(c), c);
      if (!fresh && PsiOf(c) > PsiOf(at->second)) at->second = c;
    }
    for (const auto& [to, column] : best) {
      if (to == here) continue;
      const double loss = static_cast<double>(PsiOf(present)) - PsiOf(column);
      (*exits_[here])[to].push({std::max(0.0, loss), present, column});
    }
  }

  // The cheapest moves from this server, by where they lead. Collected when first asked for.
  std::map<std::size_t, Offers>& ExitsOf(std::size_t server) {
    if (!exits_[server]) {
      exits_[server].emplace();
      for (const int user : users_[server]) AddOffers(user);
    }
    return *exits_[server];
  }

  // Dijkstra's algorithm.
  bool MoveOneFrom(std::size_t start) {
    std::vector<Arrival> arrival(users_.size());
    using Entry = std::pair<double, std::size_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    arrival[start].loss = 0.0;
    queue.push({0.0, start});
    while (!queue.empty()) {
      const auto [loss, m] = queue.top();
      queue.pop();
      if (arrival[m].settled) continue;
      arrival[m].settled = true;
      if (static_cast<int>(users_[m].size()) < problem_.server_slots[m]) {
        Follow(arrival, start, m);
        return true;
      }
      for (auto& [to, offers] : ExitsOf(m)) {
        if (arrival[to].settled) continue;
        while (!offers.empty() && ColumnOfUserOf(offers.top().present) != offers.top().present) {
          offers.pop();
        }
        if (offers.empty()) continue;
        const double with = loss + offers.top().loss;
        if (!(with < arrival[to].loss)) continue;
        arrival[to] = {with, m, offers.top().column, false};
        queue.push({with, to});
      }
    }
    return false;
  }

  void Follow(const std::vector<Arrival>& arrival, std::size_t start, std::size_t end) {
    for (std::size_t m = end; m != start; m = arrival[m].from) {
      const int column = arrival[m].column;
      const int user = columns_.user[static_cast<std::size_t>(column)];
      auto& left = users_[arrival[m].from];
      left.erase(std::find(left.begin(), left.end(), user));
      users_[m].push_back(user);
      column_of_user_[static_cast<std::size_t>(user)] = column;
      if (exits_[m]) AddOffers(user);
    }
  }

  const ScrProblem& problem_;
  const Columns& columns_;
  const std::vector<float>& psi_;
  std::vector<int>& column_of_user_;
  std::vector<std::vector<int>> users_;                              // Per server.
  std::vector<std::optional<std::map<std::size_t, Offers>>> exits_;  // Likewise.
};

}  // namespace

bool RepairSlots(const ScrProblem& problem,
                 const Columns& columns,
                 const std::vector<float>& psi,
                 std::vector<int>* column_of_user,
                 double time_limit_s) {
  return Repair(problem, columns, psi, column_of_user).Run(time_limit_s);
}

}  // namespace dashf::solvers::internal
