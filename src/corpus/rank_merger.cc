#include "corpus/rank_merger.h"

#include <cstddef>
#include <functional>
#include <iterator>
#include <queue>

namespace dashf::corpus {

RankMerger::RankMerger(const std::vector<BpeModel::Merge>& merges) {
  rules_.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right, merged] = merges[rank];
    rules_.insert_or_assign(Key(left, right), Rule{static_cast<int>(rank), merged});
  }
}

void RankMerger::Merge(const std::vector<int>& word, std::vector<int>* ids) const {
  struct Symbol {
    int id;
    std::ptrdiff_t previous, next;
  };
  struct Offer {
    int rank;
    std::ptrdiff_t left;
    int merged;
    bool operator>(const Offer& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const int id : word) {
    const std::ptrdiff_t i = std::ssize(symbols);
    symbols.push_back({id, i - 1, i + 1 == std::ssize(word) ? -1 : i + 1});
  }
  const auto at = [&](std::ptrdiff_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  std::priority_queue<Offer, std::vector<Offer>, std::greater<>> offers;
  const auto rule_of = [&](std::ptrdiff_t left) {
    return rules_.find(Key(at(left).id, at(at(left).next).id));
  };
  const auto offer = [&](std::ptrdiff_t left) {
    if (left < 0 || at(left).next < 0) return;
    const auto rule = rule_of(left);
    if (rule != rules_.end()) offers.push({rule->second.rank, left, rule->second.merged});
  };
  for (std::ptrdiff_t i = 0; i + 1 < std::ssize(symbols); ++i) offer(i);
  while (!offers.empty()) {  // Each merge removes a symbol and makes two offers at most.
    const Offer top = offers.top();
    offers.pop();
    Symbol& left = at(top.left);
    if (left.id < 0 || left.next < 0) continue;  // Merged otherwise since it was offered.
    const auto rule = rule_of(top.left);
    if (rule == rules_.end() || rule->second.merged != top.merged) continue;
    Symbol& right = at(left.next);
    left.id = top.merged;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) at(left.next).previous = top.left;
    offer(left.previous);
    offer(top.left);
  }
  for (std::ptrdiff_t i = symbols.empty() ? -1 : 0; i >= 0; i = at(i).next) {
    ids->push_back(at(i).id);
  }
}

}  // namespace dashf::corpus
