// A model that reads one text, a few tokens at a time: keys and values of what it has read are
// kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llama/adapter_layout.h"
#include "llama/layer.h"

namespace dashf::llama {

class Decoder {
 public:
  // Room for `positions` tokens. `parameters` has the layout's size; all arguments must outlive the
  // decoder.
  Decoder(const Weights& weights,
          const AdapterLayout& layout,
          std::span<const float> parameters,
          std::int64_t positions);

  // Reads tokens after those already read. The logits that follow the i-th of them are then
  // Logits(i).
  void Read(std::span<const int> tokens);
  // [vocab], after row `row` of the last Read.
  std::vector<float> Logits(std::int64_t row) const;
  // Forgets all but the first `positions` tokens.
  void Rewind(std::int64_t positions);
  std::int64_t positions() const { return read_; }

 private:
  struct Rows;  // What one Read needs at a time.
  void Attend(const Rows& rows, std::size_t layer, Matrix<float> hidden);
  void FeedForward(const Rows& rows, std::size_t layer, Matrix<float> hidden) const;
  void AddBlock(const Rows& rows,
                const Linear<float>& projection,
                Matrix<const float> x,
                std::size_t layer,
                Norm norm,
                Matrix<float> hidden) const;
  Linear<float> Part(std::size_t layer, int first, int last) const;

  const Weights& weights_;
  const AdapterLayout& layout_;
  Slot<float> slot_;
  Rotary<float> rotary_;
  std::int64_t room_, read_ = 0;
  std::vector<std::vector<float>> kept_;  // Per layer (positions, 2 kv_heads head_dim).
  std::vector<float> hidden_;             // Of the last Read, after the final norm.
};

}  // namespace dashf::llama
