#include "opt/assignment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

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
// assigned rows are >= 0, those of chosen ones are 0, and columns with room have price 0.
class AugmentingPaths {
 public:
  explicit AugmentingPaths(const AssignmentProblem& problem)
      : problem_(problem),
        rows_of_column_(problem.capacity.size()),
        distance_(problem.capacity.size()),
        settled_(problem.capacity.size()),
        via_row_(problem.capacity.size()) {
    solution_.column_of_row.assign(problem.candidates.size(), -1);
    solution_.row_price.assign(problem.candidates.size(), 0.0);
    solution_.column_price.assign(problem.capacity.size(), 0.0);
  }

  Expected<void> AssignRow(int row) {
    std::vector<int> order;  // Full columns settled so far, nearest first.
    const int sink = NearestColumnWithRoom(row, &order);
    if (sink < 0) return Deficiency(row, order);
    RaisePrices(row, order, distance_[sink]);
    Augment(row, sink);
    return {};
  }

  Assignment Take() {
    for (std::size_t i = 0; i < problem_.candidates.size(); ++i) {
      for (const auto& [column, cost] : problem_.candidates[i]) {
        if (column == solution_.column_of_row[i]) solution_.cost += cost;
      }
    }
    return std::move(solution_);
  }

 private:
  // Dijkstra's search on reduced costs. A full column leads on, at no cost, to the rows it holds.
  int NearestColumnWithRoom(int row, std::vector<int>* order) {
    std::fill(distance_.begin(), distance_.end(), kInfinity);
    std::fill(settled_.begin(), settled_.end(), false);
    // A new row's price is chosen so that its cheapest reduced cost is 0.
    double price = kInfinity;
    for (const auto& [column, cost] : problem_.candidates[row]) {
      price = std::min(price, cost - solution_.column_price[column]);
    }
    solution_.row_price[row] = problem_.candidates[row].empty() ? 0.0 : price;
    Relax(row, 0.0);
    for (;;) {
      int nearest = -1;
      for (int j = 0; j < static_cast<int>(distance_.size()); ++j) {
        if (!settled_[j] && distance_[j] < (nearest < 0 ? kInfinity : distance_[nearest])) {
          nearest = j;
        }
      }
      if (nearest < 0) return -1;
      settled_[nearest] = true;
      if (static_cast<int>(rows_of_column_[nearest].size()) < problem_.capacity[nearest]) {
        return nearest;
      }
      order->push_back(nearest);
      for (const int held : rows_of_column_[nearest]) Relax(held, distance_[nearest]);
    }
  }

  void Relax(int row, double base) {
    for (const auto& [column, cost] : problem_.candidates[row]) {
      // Rounding may leave a reduced cost a hair below zero.
      const double reduced =
          std::max(0.0, cost - solution_.row_price[row] - solution_.column_price[column]);
      if (!settled_[column] && base + reduced < distance_[column]) {
        distance_[column] = base + reduced;
        via_row_[column] = row;
      }
    }
  }

  void RaisePrices(int row, const std::vector<int>& order, double path_length) {
    solution_.row_price[row] += path_length;
    for (const int column : order) {
      const double rise = path_length - distance_[column];
      solution_.column_price[column] -= rise;
      for (const int held : rows_of_column_[column]) solution_.row_price[held] += rise;
    }
  }

  // Each row along the path moves to the column it reached.
  void Augment(int row, int sink) {
    for (int column = sink;;) {
      const int mover = via_row_[column];
      const int left = solution_.column_of_row[mover];
      solution_.column_of_row[mover] = column;
      rows_of_column_[column].push_back(mover);
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
  std::vector<double> distance_;
  std::vector<bool> settled_;
  std::vector<int> via_row_;
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
