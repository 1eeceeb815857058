#include "llama/packed_batch.h"

#include <algorithm>

#include "base/check.h"

namespace dashf::llama {
namespace {

std::int64_t Answers(const Sequence& sequence) {
  std::int64_t count = 0;
  for (const TokenRange& range : sequence.answers) count += range.end - range.begin;
  return count;
}

// Lengthens the last run if it is this slot's and may be lengthened.
void Extend(int slot, std::int64_t count, bool lengthen, std::vector<SlotRows>* runs) {
  const std::int64_t first = runs->empty() ? 0 : runs->back().first + runs->back().count;
  if (runs->empty() || runs->back().slot != slot || !lengthen) {
    runs->push_back({slot, first, count});
  } else {
    runs->back().count += count;
  }
}

void Append(const Sequence& sequence, double weight, PackedBatch* batch) {
  const std::int64_t rows = RowsOf(sequence), begin = std::ssize(batch->tokens);
  const std::int64_t losses = Answers(sequence);
  DASHF_CHECK(losses >= 1 && sequence.answers.front().begin >= 1);
  DASHF_CHECK(rows < std::ssize(sequence.tokens));
  DASHF_CHECK(sequence.slot >= 0 && sequence.slot < batch->slots);
  batch->all.push_back({begin, rows, begin, rows});
  batch->chosen.push_back({std::ssize(batch->loss_rows), losses, begin, rows});
  const bool enters_later = !batch->skipped.empty() && sequence.skipped != batch->skipped.back();
  DASHF_CHECK(batch->skipped.empty() || sequence.skipped >= batch->skipped.back());
  Extend(sequence.slot, rows, !enters_later, &batch->slot_rows);
  Extend(sequence.slot, losses, true, &batch->slot_loss_rows);
  batch->keys.push_back(sequence.key);
  batch->skipped.push_back(sequence.skipped);
  batch->longest = std::max(batch->longest, rows);
  for (int t = 0; t < rows; ++t) {
    batch->tokens.push_back(sequence.tokens[static_cast<std::size_t>(t)]);
    batch->positions.push_back(t);
  }
  for (const auto& [first, end] : sequence.answers) {
    for (int t = first; t < end; ++t) {
      batch->loss_rows.push_back(begin + t - 1);
      batch->loss_positions.push_back(t - 1);
      batch->targets.push_back(sequence.tokens[static_cast<std::size_t>(t)]);
      batch->loss_slots.push_back(sequence.slot);
      batch->loss_weights.push_back(weight);
    }
  }
}

}  // namespace

std::int64_t RowsOf(const Sequence& sequence) {
  return sequence.answers.back().end - 1;
}

EnteredRows EnteredBy(const PackedBatch& batch, int i) {
  const auto sequences = static_cast<std::size_t>(
      std::upper_bound(batch.skipped.begin(), batch.skipped.end(), i) - batch.skipped.begin());
  if (sequences == 0) return {};
  const AttentionRows& last = batch.all[sequences - 1];
  const std::int64_t count = last.first_key + last.keys;
  const auto runs = std::lower_bound(
      batch.slot_rows.begin(), batch.slot_rows.end(), count, [](const SlotRows& run, auto end) {
        return run.first < end;
      });
  return {count,
          std::span(batch.positions).first(static_cast<std::size_t>(count)),
          std::span(batch.all).first(sequences),
          {batch.slot_rows.begin(), runs}};
}

PackedBatch Pack(std::span<const Sequence> sequences, int slots) {
  return PackInParts(sequences, slots, 1).front();
}

std::vector<PackedBatch> PackInParts(std::span<const Sequence> sequences, int slots, int parts) {
  std::vector<std::int64_t> answers(static_cast<std::size_t>(slots), 0);
  std::int64_t total = 0;
  for (const Sequence& sequence : sequences) {
    answers.at(static_cast<std::size_t>(sequence.slot)) += Answers(sequence);
    total += RowsOf(sequence);
  }
  std::vector<PackedBatch> batches;
  std::int64_t rows = 0, last_part = -1;
  for (const Sequence& sequence : sequences) {
    // A sequence belongs to the part that its middle falls into.
    const std::int64_t part = (2 * rows + RowsOf(sequence)) * parts / (2 * total);
    if (part != last_part) batches.emplace_back().slots = slots;
    last_part = part;
    const auto slot = static_cast<std::size_t>(sequence.slot);
    Append(sequence, 1.0 / static_cast<double>(answers[slot]), &batches.back());
    rows += RowsOf(sequence);
  }
  return batches;
}

}  // namespace dashf::llama
