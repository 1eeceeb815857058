#include "corpus/bpe_merger.h"

namespace dashf::corpus {

void BpeMerger::AddSymbol(std::size_t size, bool frozen) {
  const auto index = static_cast<std::ptrdiff_t>(symbols_.size());
  const std::size_t begin = symbols_.empty() ? 0 : symbols_.back().begin + symbols_.back().size;
  const bool last = begin + size == text_.size();
  symbols_.push_back({begin, size, index - 1, last ? -1 : index + 1, frozen});
}

void BpeMerger::Offer(std::ptrdiff_t left, std::ptrdiff_t right) {
  if (left < 0 || right < 0 || At(left).frozen || At(right).frozen) return;
  const std::string_view both = text_.substr(At(left).begin, At(left).size + At(right).size);
  const auto it = ids_.find(both);
  if (it == ids_.end()) return;
  const SentencePiece& piece = model_.pieces[static_cast<std::size_t>(it->second)];
  agenda_.push({left, right, piece.score, both.size()});
  if (piece.type == PieceType::kUnused) left_part_of_unused_[both] = At(left).size;
}

std::vector<std::string_view> BpeMerger::Merge() {
  const auto count = static_cast<std::ptrdiff_t>(symbols_.size());
  for (std::ptrdiff_t i = 1; i < count; ++i) Offer(i - 1, i);
  while (!agenda_.empty()) {  // Each merge removes a symbol and offers two pairs at most.
    const Pair top = agenda_.top();
    agenda_.pop();
    Symbol& left = At(top.left);
    Symbol& right = At(top.right);
    // One of the two has been merged otherwise since the pair was offered.
    if (left.size == 0 || right.size == 0 || left.size + right.size != top.size) continue;
    left.size = top.size;
    left.next = right.next;
    if (right.next >= 0) At(right.next).previous = top.left;
    right.size = 0;
    Offer(left.previous, top.left);
    Offer(top.left, left.next);
  }
  std::vector<std::string_view> pieces;
  for (std::ptrdiff_t i = count > 0 ? 0 : -1; i >= 0; i = At(i).next) {
    AppendUsed(text_.substr(At(i).begin, At(i).size), &pieces);
  }
  return pieces;
}

// An unused piece serves merging alone; in the result its two parts stand for it.
void BpeMerger::AppendUsed(std::string_view text, std::vector<std::string_view>* pieces) const {
  std::vector<std::string_view> open = {text};
  while (!open.empty()) {
    const std::string_view piece = open.back();
    open.pop_back();
    const auto part = left_part_of_unused_.find(piece);
    if (part == left_part_of_unused_.end()) {
      pieces->push_back(piece);
      continue;
    }
    open.push_back(piece.substr(part->second));
    open.push_back(piece.substr(0, part->second));
  }
}

}  // namespace dashf::corpus
