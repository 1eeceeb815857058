// A batch of sequences without padding: their rows one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llama/adapter_layout.h"
#include "llama/attention.h"

namespace dashf::llama {

// Token ids, of which those from answer_begin on are to be predicted; 1 <= answer_begin < size.
struct Sequence {
  std::span<const int> tokens;
  int answer_begin = 0;
  int slot = 0;          // Whose adapter it passes through, 0..slots - 1.
  std::int64_t key = 0;  // The caller's name for it.
};

// A sequence's last token is a target only: causal attention shows it to no other row, so its own
// row would be computed for nothing and is left out.
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
  std::vector<std::int64_t> keys;        // Per sequence: Sequence::key.
  std::int64_t longest = 0;              // Rows of the longest sequence.
};

PackedBatch Pack(std::span<const Sequence> sequences, int slots);

// The same sequences as up to `parts` batches of about equally many rows, in order; the weights
// still count the answers of all.
std::vector<PackedBatch> PackInParts(std::span<const Sequence> sequences, int slots, int parts);

}  // namespace dashf::llama
