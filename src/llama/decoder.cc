#include "llama/decoder.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "llama/attention.h"
#include "llama/frozen_product.h"
#include "llama/gated_unit.h"
#include "llama/prompt_attention.h"
#include "llama/rms_norm.h"

namespace dashf::llama {
namespace {

// A matrix that owns its numbers.
struct Buffer {
  std::vector<float> numbers;
  Matrix<float> matrix;
  Buffer(std::int64_t rows, std::int64_t columns)
      : numbers(static_cast<std::size_t>(rows * columns)), matrix(numbers.data(), rows, columns) {}
};

int LargestRank(const AdapterLayout& layout) {
  int largest = 0;
  for (const LayerPlaces& layer : layout.layers) {
    int sum = 0;
    for (const LoraPlace& lora : layer.lora) sum += lora.rank;
    largest = std::max(largest, sum);
  }
  return largest;
}

int LongestPrompt(const AdapterLayout& layout) {
  int longest = 0;
  for (const LayerPlaces& layer : layout.layers) longest = std::max(longest, layer.prompt.length);
  return longest;
}

}  // namespace

struct Decoder::Rows {
  Rows(const ModelConfig& config,
       const AdapterLayout& layout,
       std::int64_t count,
       std::int64_t before)
      : q_width(std::int64_t{config.heads} * config.head_dim),
        kv_width(std::int64_t{config.kv_heads} * config.head_dim),
        widest(std::max<std::int64_t>({config.hidden_size, q_width, config.intermediate_size})),
        slots{{0, 0, count}},
        sequences{{0, count, 0, before + count}},
        positions(static_cast<std::size_t>(count)),
        normed(count, config.hidden_size),
        qkv(count, q_width + 2 * kv_width),
        attended(count, q_width),
        log_sum(count, config.heads),
        gate_up(count, 2 * std::int64_t{config.intermediate_size}),
        act(count, config.intermediate_size),
        h(count, LargestRank(layout)),
        block(config.output_norms ? count : 0, config.hidden_size),
        inverse(static_cast<std::size_t>(count * config.heads)),
        attention(static_cast<std::size_t>(AttentionScratchElements(before + count))),
        prompt(static_cast<std::size_t>(PromptScratchElements(config, LongestPrompt(layout)))),
        tile(static_cast<std::size_t>(StoredMatrix::ScratchElements(widest))),
        stacked_a(static_cast<std::size_t>(LargestRank(layout) * widest)) {
    std::iota(positions.begin(), positions.end(), static_cast<int>(before));
  }
  LinearScratch<float> Scratch() const {
    return {.tile = const_cast<float*>(tile.data()),
            .stacked_a = const_cast<float*>(stacked_a.data())};
  }

  std::int64_t q_width, kv_width, widest;
  std::vector<SlotRows> slots;
  std::vector<AttentionRows> sequences;
  std::vector<int> positions;
  Buffer normed, qkv, attended, log_sum, gate_up, act, h, block;
  mutable std::vector<float> inverse, attention, prompt, tile, stacked_a;
};

Decoder::Decoder(const Weights& weights,
                 const AdapterLayout& layout,
                 std::span<const float> parameters,
                 std::int64_t positions)
    : weights_(weights),
      layout_(layout),
      slot_{parameters.data(), nullptr},
      rotary_(weights.config, positions),
      room_(positions),
      kept_(weights.layers.size()) {
  DASHF_CHECK(std::ssize(parameters) == layout.size);
}

Linear<float> Decoder::Part(std::size_t layer, int first, int last) const {
  return {
      &weights_.config, &weights_.layers[layer], &layout_.layers[layer], {&slot_, 1}, first, last};
}

// hidden += a block's last projection of x, normed before where the model does.
void Decoder::AddBlock(const Rows& rows,
                       const Linear<float>& projection,
                       Matrix<const float> x,
                       std::size_t layer,
                       Norm norm,
                       Matrix<float> hidden) const {
  const Matrix<float> h = rows.h.matrix.Columns(0, projection.Rank());
  if (!weights_.config.output_norms) {
    LinearForward<float>(projection, rows.slots, x, Into::kAdd, rows.Scratch(), h, hidden);
    return;
  }
  const Matrix<float> block = rows.block.matrix;
  LinearForward<float>(projection, rows.slots, x, Into::kOverwrite, rows.Scratch(), h, block);
  RmsNormForward<float>(block, weights_.NormOf(layer, norm), rows.inverse.data(), block);
  for (std::int64_t i = 0; i < hidden.rows; ++i) {
    for (std::int64_t j = 0; j < hidden.columns; ++j) hidden.Row(i)[j] += block.Row(i)[j];
  }
}

void Decoder::Attend(const Rows& rows, std::size_t layer, Matrix<float> hidden) {
  const ModelConfig& config = weights_.config;
  const auto index = static_cast<int>(layer);
  RmsNormForward<float>(
      hidden, weights_.NormOf(layer, kInputNorm), rows.inverse.data(), rows.normed.matrix);
  const Linear<float> in = Part(layer, kQ, kO);
  LinearForward<float>(in,
                       rows.slots,
                       rows.normed.matrix,
                       Into::kOverwrite,
                       rows.Scratch(),
                       rows.h.matrix.Columns(0, in.Rank()),
                       rows.qkv.matrix);
  const Matrix<float> q = rows.qkv.matrix.Columns(0, rows.q_width);
  const Matrix<float> kv = rows.qkv.matrix.Columns(rows.q_width, 2 * rows.kv_width);
  const Matrix<float> k = kv.Columns(0, rows.kv_width);
  if (config.head_norms) {
    const RmsNorm q_norm = weights_.NormOf(layer, kQueryNorm);
    HeadNormForward<float>(q, q_norm, config.head_dim, rows.inverse.data(), q);
    const RmsNorm k_norm = weights_.NormOf(layer, kKeyNorm);
    HeadNormForward<float>(k, k_norm, config.head_dim, rows.inverse.data(), k);
  }
  rotary_.Turn(index, rows.positions, Rotary<float>::Way::kForward, q);
  rotary_.Turn(index, rows.positions, Rotary<float>::Way::kForward, k);
  std::vector<float>& kept = kept_[layer];
  kept.resize(static_cast<std::size_t>(read_ * kv.columns));
  for (std::int64_t i = 0; i < kv.rows; ++i) {
    kept.insert(kept.end(), kv.Row(i), kv.Row(i) + kv.columns);
  }
  const Matrix<float> all(kept.data(), read_ + kv.rows, kv.columns);
  AttentionForward<float>(HeadsOf(config, index),
                          rows.sequences,
                          rows.positions,
                          q,
                          all.Columns(0, rows.kv_width),
                          all.Columns(rows.kv_width, rows.kv_width),
                          rows.attention.data(),
                          rows.log_sum.matrix,
                          rows.attended.matrix);
  if (layout_.layers[layer].prompt.length > 0) {
    PromptForward<float>(Part(layer, kK, kO),
                         rows.slots,
                         q,
                         rows.tile.data(),
                         rows.prompt.data(),
                         rows.attended.matrix);
  }
  AddBlock(rows, Part(layer, kO, kGate), rows.attended.matrix, layer, kAttentionOutNorm, hidden);
}

void Decoder::FeedForward(const Rows& rows, std::size_t layer, Matrix<float> hidden) const {
  const Linear<float> in = Part(layer, kGate, kDown), out = Part(layer, kDown, kProjections);
  RmsNormForward<float>(
      hidden, weights_.NormOf(layer, kFeedForwardNorm), rows.inverse.data(), rows.normed.matrix);
  LinearForward<float>(in,
                       rows.slots,
                       rows.normed.matrix,
                       Into::kOverwrite,
                       rows.Scratch(),
                       rows.h.matrix.Columns(0, in.Rank()),
                       rows.gate_up.matrix);
  GatedUnitForward<float>(weights_.config.activation, rows.gate_up.matrix, rows.act.matrix);
  AddBlock(rows, out, rows.act.matrix, layer, kFeedForwardOutNorm, hidden);
}

void Decoder::Read(std::span<const int> tokens) {
  const std::int64_t count = std::ssize(tokens), d = weights_.config.hidden_size;
  DASHF_CHECK(count >= 1 && read_ + count <= room_);
  const Rows rows(weights_.config, layout_, count, read_);
  hidden_.resize(static_cast<std::size_t>(count * d));
  const Matrix<float> hidden(hidden_.data(), count, d);
  for (std::int64_t i = 0; i < count; ++i) {
    Embed(weights_, tokens[static_cast<std::size_t>(i)], hidden.Rows(i, 1));
  }
  for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) {
    Attend(rows, layer, hidden);
    FeedForward(rows, layer, hidden);
  }
  read_ += count;
  RmsNormForward<float>(hidden, weights_.FinalNorm(), rows.inverse.data(), hidden);
}

std::vector<float> Decoder::Logits(std::int64_t row) const {
  const std::int64_t d = weights_.config.hidden_size;
  DASHF_CHECK(row >= 0 && (row + 1) * d <= std::ssize(hidden_));
  const Matrix<const float> x(hidden_.data() + row * d, 1, d);
  std::vector<float> logits(static_cast<std::size_t>(weights_.config.vocab_size));
  std::vector<float> tile(static_cast<std::size_t>(StoredMatrix::ScratchElements(d)));
  const Matrix<float> out(logits.data(), 1, std::ssize(logits));
  const StoredMatrix& head = weights_.Head();
  MultiplyThrough<float>(head, 0, x, 0, tile.data(), out);
  return logits;
}

void Decoder::Rewind(std::int64_t positions) {
  DASHF_CHECK(0 <= positions && positions <= read_);
  read_ = positions;
}

}  // namespace dashf::llama
