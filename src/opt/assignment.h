// Assignment with column capacities: each row takes one column of its candidate list, a column
// serves at most `capacity` rows, and the sum of the chosen costs is least. Successive shortest
// augmenting paths with dual prices (Kuhn 1955, in the form of Jonker and Volgenant 1987); a column
// of capacity c is one node, not c copies of a column, so a capacity may be as large as one likes.
// Of a full column's rows the one that loses least by each change is on top of a heap, so that a
// path costs O(columns^2) and a placed row O(candidates log rows), however many rows a column
// holds; a row whose cheapest column has room costs O(candidates). Pure: safe from any thread.
#pragma once

#include <vector>

#include "base/error.h"

namespace dashf::opt {

struct AssignmentCandidate {
  int column = 0;
  double cost = 0.0;  // Finite; a forbidden pair is simply absent.
};

struct AssignmentProblem {
  std::vector<std::vector<AssignmentCandidate>> candidates;  // Per row; a column at most once.
  std::vector<int> capacity;                                 // Per column, >= 0.
};

// The optimum and its proof by linear programming duality:
//   cost_ij >= row_price_i + column_price_j on every candidate, with equality on the chosen ones,
//   column_price_j <= 0, and column_price_j = 0 where column j has room left, so that
//   cost = sum_i row_price_i + sum_j capacity_j column_price_j, which no assignment undercuts.
struct Assignment {
  std::vector<int> column_of_row;
  double cost = 0.0;
  std::vector<double> row_price;
  std::vector<double> column_price;
};

// kInfeasible names rows that together reach fewer places than they are (Hall's condition);
// kBadInput names the row or column whose data break a rule above.
Expected<Assignment> SolveAssignment(const AssignmentProblem& problem);

}  // namespace dashf::opt
