#include "solvers/columns.h"

#include <algorithm>
#include <array>

namespace dashf::solvers::internal {
namespace {

// A row's amounts, and which of (6)'s three terms it earns.
struct Row {
  std::array<double, 4> amount;
  std::array<bool, 3> earns;
};

Row RowOf(const ScrProblem& problem, std::size_t split) {
  const double work = problem.split_server_flop[split], up = problem.split_upload_bit[split],
               down = problem.split_download_bit[split];
  return {{problem.split_local_cycle[split], work, up, down},
          {up + down > 0.0, down > 0.0, work > 0.0}};
}

bool EarnsAtLeast(const Row& row, const Row& other) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (other.earns[i] && !row.earns[i]) return false;
  }
  return true;
}

// Is `row` no better than some t a + (1 - t) b, 0 <= t <= 1? An interval of t per amount.
bool IsDominated(const Row& row, const Row& a, const Row& b) {
  constexpr double kRounding = 1e-12;
  if (!EarnsAtLeast(a, row) || !EarnsAtLeast(b, row)) return false;
  double low = 0.0, high = 1.0;
  for (std::size_t i = 0; i < 4; ++i) {
    const double slope = a.amount[i] - b.amount[i];
    const double room = row.amount[i] - b.amount[i];
    const double slack = kRounding * row.amount[i];
    if (slope > 0.0) {
      high = std::min(high, (room + slack) / slope);
    } else if (slope < 0.0) {
      low = std::max(low, (room + slack) / slope);
    } else if (room + slack < 0.0) {
      return false;
    }
  }
  return low <= high;
}

// The user's splits that no pair of the others dominates. One after the other is left out, so that
// of two equal rows one remains.
void KeepUndominated(const ScrProblem& problem, std::size_t user, std::vector<int>* kept) {
  std::vector<Row> rows;
  kept->clear();
  for (int k = problem.split_begin[user]; k < problem.split_begin[user + 1]; ++k) {
    kept->push_back(k);
    rows.push_back(RowOf(problem, static_cast<std::size_t>(k)));
  }
  for (std::size_t i = rows.size(); i-- > 0;) {
    bool dominated = false;
    // The ends first: with affine tables they dominate all between.
    for (std::size_t a = 0; a < rows.size() && !dominated; ++a) {
      for (std::size_t b = rows.size(); b-- > a && !dominated;) {
        dominated = a != i && b != i && IsDominated(rows[i], rows[a], rows[b]);
      }
    }
    if (!dominated) continue;
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(i));
    kept->erase(kept->begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

Association Columns::AssociationOf(const ScrProblem& problem,
                                   const std::vector<int>& column) const {
  Association association;
  for (const int c : column) {
    association.push_back(ChoiceOf(problem, static_cast<std::size_t>(c)));
  }
  return association;
}

int Columns::Find(const ScrProblem& problem, std::size_t n, const Choice& choice) const {
  for (int c = begin[n]; c < begin[n + 1]; ++c) {
    if (ChoiceOf(problem, static_cast<std::size_t>(c)) == choice) return c;
  }
  return -1;
}

Columns MakeColumns(const ScrProblem& problem, bool undominated_only) {
  Columns columns;
  columns.begin.push_back(0);
  std::vector<int> kept;
  for (std::size_t n = 0; n < problem.tx_power_w_max.size(); ++n) {
    if (undominated_only) {
      KeepUndominated(problem, n, &kept);
    } else {
      kept.resize(static_cast<std::size_t>(problem.split_begin[n + 1] - problem.split_begin[n]));
      for (std::size_t i = 0; i < kept.size(); ++i) {
        kept[i] = problem.split_begin[n] + static_cast<int>(i);
      }
    }
    for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
      const int server = problem.link_server[static_cast<std::size_t>(link)];
      if (problem.server_slots[static_cast<std::size_t>(server)] == 0) continue;
      for (const int split : kept) {
        columns.user.push_back(static_cast<int>(n));
        columns.link.push_back(link);
        columns.split.push_back(split);
      }
    }
    columns.begin.push_back(static_cast<int>(columns.link.size()));
  }
  return columns;
}

}  // namespace dashf::solvers::internal
