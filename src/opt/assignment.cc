#include "opt/assignment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <queue>
#include <utility>

namespace dashf::opt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Expected<void> CheckProblem(const AssignmentProblem& problem) {
  const int columns = static_cast<int>(problem.capacity.size());
  for (int j = 0; j < columns; ++j) {
    if (problem.capacity[j] < 0) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("assignment column {}", j),
                  fmt::format("capacity must be >= 0, got {}", problem.capacity[j]));
    }
  }
  std::vector<int> last_row(columns, -1);
  for (int i = 0; i < static_cast<int>(problem.candidates.size()); ++i) {
    for (const auto& [column, cost] : problem.candidates[i]) {
      const bool known = column >= 0 && column < columns;
      if (!known || last_row[column] == i || !std::isfinite(cost)) {
        return Fail(ErrorKind::kBadInput,
                    fmt::format("assignment row {}", i),
                    fmt::format("needs distinct columns in [0, {}) at finite cost, got column {} "
                                "at cost {}",
                                columns,
                                column,
                                cost));
      }
      last_row[column] = i;
    }
  }
  return {};
}

// The growing assignment. Invariants between augmentations: reduced costs of all candidates of
// assigned rows are >= 0, those of chosen ones are 0 - a row's price is the chosen cost less its
// column's price - and columns with room have price 0.
class AugmentingPaths {
 public:
  explicit AugmentingPaths(const AssignmentProblem& problem)
      : problem_(problem),
        rows_of_column_(problem.capacity.size()),
        exits_(problem.capacity.size()),
        knows_exits_(problem.capacity.size(), false),
        distance_(problem.capacity.size()),
        settled_(problem.capacity.size()),
        via_row_(problem.capacity.size()),
        chosen_cost_(problem.candidates.size(), 0.0) {
    solution_.column_of_row.assign(problem.candidates.size(), -1);
    solution_.row_price.assign(problem.candidates.size(), 0.0);
    solution_.column_price.assign(problem.capacity.size(), 0.0);
  }

  Expected<void> AssignRow(int row) {
    const AssignmentCandidate* cheapest = Cheapest(row);
    if (cheapest != nullptr && HasRoom(cheapest->column)) {
      Place(row, cheapest->column);
      return {};
    }
    std::vector<int> order;  // Full columns settled so far, nearest first.
    const int sink = NearestColumnWithRoom(row, cheapest, &order);
    if (sink < 0) return Deficiency(row, order);
    for (const int column : order) {
      solution_.column_price[column] -= distance_[sink] - distance_[column];
    }
    Augment(row, sink);
    return {};
  }

  Assignment Take() {
    for (std::size_t i = 0; i < problem_.candidates.size(); ++i) {
      solution_.cost += chosen_cost_[i];
      solution_.row_price[i] = chosen_cost_[i] - solution_.column_price[solution_.column_of_row[i]];
    }
    return std::move(solution_);
  }

 private:
  // What a column's row would cost more elsewhere, and the row; the least on top.
  using Exit = std::pair<double, int>;
  using Exits = std::priority_queue<Exit, std::vector<Exit>, std::greater<>>;

  bool HasRoom(int column) const {
    return static_cast<int>(rows_of_column_[column].size()) < problem_.capacity[column];
  }

  const AssignmentCandidate* Cheapest(int row) const {
    const AssignmentCandidate* best = nullptr;
    double least = kInfinity;
    for (const AssignmentCandidate& candidate : problem_.candidates[row]) {
      const double cost = candidate.cost - solution_.column_price[candidate.column];
      if (!(cost < least)) continue;
      least = cost;
      best = &candidate;
    }
    return best;
  }

  // Dijkstra's search on reduced costs. A full column leads on, at no cost, to the rows it holds.
  // The new row's price is chosen so that its cheapest reduced cost is 0.
  int NearestColumnWithRoom(int row, const AssignmentCandidate* cheapest, std::vector<int>* order) {
    if (cheapest == nullptr) return -1;
    std::fill(distance_.begin(), distance_.end(), kInfinity);
    std::fill(settled_.begin(), settled_.end(), false);
    const double price = cheapest->cost - solution_.column_price[cheapest->column];
    for (const auto& [column, cost] : problem_.candidates[row]) {
      Reach(column, cost - price - solution_.column_price[column], row);
    }
    for (;;) {
      int nearest = -1;
      for (int j = 0; j < static_cast<int>(distance_.size()); ++j) {
        if (!settled_[j] && distance_[j] < (nearest < 0 ? kInfinity : distance_[nearest])) {
          nearest = j;
        }
      }
      if (nearest < 0) return -1;
      settled_[nearest] = true;
      if (HasRoom(nearest)) return nearest;
      order->push_back(nearest);
      RelaxFrom(nearest);
    }
  }

  void Reach(int column, double distance, int row) {
    if (settled_[column] || !(distance < distance_[column])) return;
    distance_[column] = distance;
    via_row_[column] = row;
  }

  // Of a full column's rows only the one that loses least by the change to another column counts.
  void RelaxFrom(int column) {
    if (!knows_exits_[column]) {
      knows_exits_[column] = true;
      for (const int held : rows_of_column_[column]) NoteExits(held, column);
    }
    for (auto& [other, exits] : exits_[column]) {
      while (!exits.empty() && solution_.column_of_row[exits.top().second] != column) exits.pop();
      if (exits.empty()) continue;
      const auto& [loss, row] = exits.top();
      // Rounding may leave a reduced cost a hair below zero.
      const double reduced =
          std::max(0.0, loss + solution_.column_price[column] - solution_.column_price[other]);
      Reach(other, distance_[column] + reduced, row);
    }
  }

  void NoteExits(int row, int column) {
    for (const auto& [other, cost] : problem_.candidates[row]) {
      if (other != column) exits_[column][other].push({cost - chosen_cost_[row], row});
    }
  }

  void Place(int row, int column) {
    const auto& candidates = problem_.candidates[row];
    chosen_cost_[row] =
        std::find_if(candidates.begin(), candidates.end(), [column](const auto& candidate) {
          return candidate.column == column;
        })->cost;
    solution_.column_of_row[row] = column;
    rows_of_column_[column].push_back(row);
    if (knows_exits_[column]) NoteExits(row, column);
  }

  // Each row along the path moves to the column it reached.
  void Augment(int row, int sink) {
    for (int column = sink;;) {
      const int mover = via_row_[column];
      const int left = solution_.column_of_row[mover];
      Place(mover, column);
      if (mover == row) return;
      std::erase(rows_of_column_[left], mover);
      column = left;
    }
  }

  tl::unexpected<Error> Deficiency(int row, const std::vector<int>& order) const {
    std::vector<int> rows = {row};
    for (const int column : order) {
      rows.insert(rows.end(), rows_of_column_[column].begin(), rows_of_column_[column].end());
    }
    return Fail(ErrorKind::kInfeasible,
                "assignment",
                fmt::format("rows {} reach only columns {}, which have {} places in total",
                            rows,
                            order,
                            rows.size() - 1));
  }

  const AssignmentProblem& problem_;
  Assignment solution_;
  std::vector<std::vector<int>> rows_of_column_;
  // Per full column and other column. A row that has left stays until it comes to the top; one that
  // returns loses what it lost before.
  std::vector<std::map<int, Exits>> exits_;
  std::vector<bool> knows_exits_;
  std::vector<double> distance_;
  std::vector<bool> settled_;
  std::vector<int> via_row_;
  std::vector<double> chosen_cost_;  // Per assigned row.
};

}  // namespace

Expected<Assignment> SolveAssignment(const AssignmentProblem& problem) {
  if (const auto sound = CheckProblem(problem); !sound) return tl::unexpected(sound.error());
  AugmentingPaths paths(problem);
  for (int row = 0; row < static_cast<int>(problem.candidates.size()); ++row) {
    if (const auto placed = paths.AssignRow(row); !placed) return tl::unexpected(placed.error());
  }
  return paths.Take();
}

}  // namespace dashf::opt
