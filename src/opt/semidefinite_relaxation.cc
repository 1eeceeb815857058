#include "opt/semidefinite_relaxation.h"

#include <map>

#include "base/check.h"

namespace dashf::opt {
namespace {

// Where a variable stands: its block, and its row there.
struct Place {
  int block = 0;
  int row = 0;
};

class Lifting {
 public:
  // `clique_of_variable` may put all variables into one clique.
  Lifting(const std::vector<int>& clique_of_variable, int cliques)
      : constant_(static_cast<int>(clique_of_variable.size())), size_(cliques, 0) {
    for (const int clique : clique_of_variable) {
      DASHF_CHECK(clique >= 0 && clique < cliques);
      places_.push_back({clique, size_[clique]++});
    }
  }

  BlockSdp Relax(const Qcqp& qcqp, double square_sum_max) const {
    BlockSdp sdp;
    sdp.scalars = qcqp.scalars;
    sdp.blocks.resize(size_.size());
    for (std::size_t c = 0; c < size_.size(); ++c) {
      SdpBlock& block = sdp.blocks[c];
      block.order = size_[c] + 1;
      block.trace_max = square_sum_max + 1.0;
      block.rows.push_back({.form = {.matrix = {{size_[c], size_[c], 1.0}}, .weights = {}},
                            .scalars = {},
                            .relation = Relation::kEqual,
                            .rhs = 1.0});
    }
    for (auto& [clique, form] : FormsOf(qcqp.cost)) sdp.blocks[clique].cost = std::move(form);
    for (const Qcqp::Row& row : qcqp.rows) AddRow(row, &sdp);
    return sdp;
  }

 private:
  std::map<int, BlockForm> FormsOf(const std::vector<QuadraticTerm>& terms) const {
    std::map<int, BlockForm> forms;
    for (const auto& [i, j, coefficient] : terms) {
      DASHF_CHECK(i >= 0 && i <= j && j <= constant_ && i < constant_);
      const auto [clique, row] = places_[i];
      const int column = j == constant_ ? size_[clique] : places_[j].row;
      DASHF_CHECK(j == constant_ || places_[j].block == clique);
      forms[clique].matrix.push_back(
          {row, column, row == column ? coefficient : 0.5 * coefficient});
    }
    return forms;
  }

  void AddRow(const Qcqp::Row& row, BlockSdp* sdp) const {
    std::map<int, BlockForm> forms = FormsOf(row.terms);
    if (forms.size() == 1) {
      auto& [clique, form] = *forms.begin();
      sdp->blocks[clique].rows.push_back({std::move(form), row.scalars, row.relation, row.rhs});
      return;
    }
    DASHF_CHECK(row.relation == Relation::kAtMost);
    const int index = static_cast<int>(sdp->coupling.size());
    sdp->coupling.push_back({row.scalars, row.rhs});
    for (auto& [clique, form] : forms) {
      sdp->blocks[clique].coupling.push_back({index, std::move(form)});
    }
  }

  int constant_;
  std::vector<int> size_;  // Variables of each clique.
  std::vector<Place> places_;
};

}  // namespace

BlockSdp RelaxWhole(const Qcqp& qcqp) {
  const std::vector<int> together(qcqp.clique_of_variable.size(), 0);
  return Lifting(together, 1).Relax(qcqp, qcqp.cliques * qcqp.clique_square_sum_max);
}

BlockSdp RelaxByCliques(const Qcqp& qcqp) {
  return Lifting(qcqp.clique_of_variable, qcqp.cliques).Relax(qcqp, qcqp.clique_square_sum_max);
}

}  // namespace dashf::opt
