// A batch of sequences without padding: their rows one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llama/adapter_layout.h"
#include "llama/attention.h"

namespace dashf::llama {

// Positions begin..end - 1.
struct TokenRange {
  int begin = 0, end = 0;
};

// Token ids, of which those of the answers are to be predicted: at least one range, ascending and
// apart, none empty, none from position 0.
struct Sequence {
  std::span<const int> tokens;
  std::vector<TokenRange> answers;
  int slot = 0;          // Whose adapter it passes through, 0..slots - 1.
  std::int64_t key = 0;  // The caller's name for it.
  int skipped = 0;  // It enters the range's layer begin + skipped. A batch is ascending in this.
};

// The rows of a sequence that are computed. Its last answer's last token is a target only: causal
// attention shows neither it nor what follows it to any row that counts.
std::int64_t RowsOf(const Sequence& sequence);

struct PackedBatch {
  int slots = 0;
  std::vector<int> tokens;               // [N]
  std::vector<int> positions;            // [N], each within its own sequence.
  std::vector<std::int64_t> loss_rows;   // [M], ascending: the next token is an answer's.
  std::vector<int> loss_positions;       // [M]
  std::vector<int> targets;              // [M]: that next token.
  std::vector<int> loss_slots;           // [M]
  std::vector<double> loss_weights;      // [M]: 1 / answer tokens of the slot in the whole batch.
  std::vector<AttentionRows> all;        // Per sequence: every row a query.
  std::vector<AttentionRows> chosen;     // Per sequence: the loss rows alone as queries.
  std::vector<SlotRows> slot_rows;       // Of the N rows,
  std::vector<SlotRows> slot_loss_rows;  // and of the M.
  std::vector<std::int64_t> keys;        // Per sequence: Sequence::key
  std::vector<int> skipped;              // and Sequence::skipped.
  std::int64_t longest = 0;              // Rows of the longest sequence.
};

// The sequences that are in the range's layer begin + i: the batch's first ones.
struct EnteredRows {
  std::int64_t count = 0;
  std::span<const int> positions;
  std::span<const AttentionRows> sequences;
  std::span<const SlotRows> slots;
};
EnteredRows EnteredBy(const PackedBatch& batch, int i);

PackedBatch Pack(std::span<const Sequence> sequences, int slots);

// The same sequences as up to `parts` batches of about equally many rows, in order; the weights
// still count the answers of all.
std::vector<PackedBatch> PackInParts(std::span<const Sequence> sequences, int slots, int parts);

}  // namespace dashf::llama
