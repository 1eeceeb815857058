// What each user may choose, as flat columns of (link, split). In sum mode, rows that cannot be a
// best choice at any resources are left out. Internal to the module; pure.
#pragma once

#include <vector>

#include "solvers/scr_problem.h"

namespace dashf::solvers::internal {

// User n's columns are begin[n] .. begin[n + 1] - 1, by link and then by split.
struct Columns {
  std::vector<int> begin;
  std::vector<int> user;
  std::vector<int> link;   // Index into ScrProblem::link_*.
  std::vector<int> split;  // Index into ScrProblem::split_*.

  std::size_t size() const { return link.size(); }
  Choice ChoiceOf(const ScrProblem& problem, std::size_t column) const {
    return {problem.link_server[static_cast<std::size_t>(link[column])],
            problem.split_layers[static_cast<std::size_t>(split[column])]};
  }
  // With this column for each user.
  Association AssociationOf(const ScrProblem& problem, const std::vector<int>& column) const;
  // The user's column of this choice, or -1.
  int Find(const ScrProblem& problem, std::size_t n, const Choice& choice) const;
};

// With `undominated_only`: at fixed resources, (7)'s score - y cost of sum mode is affine in a
// row's (W_u, W_s, U, V), so a row is left out if a convex combination of two rows that earn at
// least its score needs no more of any of the four. Links to servers without slots are left out.
Columns MakeColumns(const ScrProblem& problem, bool undominated_only);

}  // namespace dashf::solvers::internal
