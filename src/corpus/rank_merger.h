// Byte-pair merging by rank, as tokenizer.json has it: again and again the pair of neighbours of
// lowest rank, the leftmost of equals. Internal to this module.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "corpus/tokenizer_json.h"

namespace dashf::corpus {

class RankMerger {
 public:
  explicit RankMerger(const std::vector<BpeModel::Merge>& merges);

  // Appends what becomes of a word's symbols to `ids`; O(n log n).
  void Merge(const std::vector<int>& symbols, std::vector<int>* ids) const;

 private:
  struct Rule {
    int rank, merged;
  };
  static std::uint64_t Key(int left, int right) {
    return (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint64_t>(right);
  }

  std::unordered_map<std::uint64_t, Rule> rules_;
};

}  // namespace dashf::corpus
