// Byte-pair merging (Sennrich, Haddow and Birch, ACL 2016) as SentencePiece does it: characters
// first, then again and again the pair of neighbours whose piece scores highest, the leftmost of
// equals, until no pair is a piece. A heap of offered pairs makes it O(n log n).
#pragma once

#include <cstddef>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "corpus/sentencepiece_model.h"

namespace dashf::corpus {

// For one text; `model`, `ids` (of the pieces that merging may make) and `text` must outlive it.
class BpeMerger {
 public:
  BpeMerger(const SentencePieceModel& model,
            const std::unordered_map<std::string_view, int>& ids,
            std::string_view text)
      : model_(model), ids_(ids), text_(text) {}

  // The next `size` bytes of the text are one symbol; together the symbols are the text. `frozen`
  // symbols take part in no merge.
  void AddSymbol(std::size_t size, bool frozen);

  // The pieces of the text, in order: views into it.
  std::vector<std::string_view> Merge();

 private:
  struct Symbol {
    std::size_t begin, size;  // In the text; size 0 once merged into its left neighbour.
    std::ptrdiff_t previous, next;
    bool frozen;
  };
  struct Pair {
    std::ptrdiff_t left, right;
    float score;
    std::size_t size;

    friend bool operator<(const Pair& a, const Pair& b) {
      return a.score != b.score ? a.score < b.score : a.left > b.left;
    }
  };

  Symbol& At(std::ptrdiff_t i) { return symbols_[static_cast<std::size_t>(i)]; }
  void Offer(std::ptrdiff_t left, std::ptrdiff_t right);
  void AppendUsed(std::string_view text, std::vector<std::string_view>* pieces) const;

  const SentencePieceModel& model_;
  const std::unordered_map<std::string_view, int>& ids_;
  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Pair> agenda_;
  std::unordered_map<std::string_view, std::size_t> left_part_of_unused_;  // Its bytes.
};

}  // namespace dashf::corpus
