#include "llama/prompt_attention.h"

#include <algorithm>

#include "llama/frozen_product.h"
#include "llama/softmax.h"

namespace dashf::llama {
namespace {

// What one slot's prompt becomes, and room beside it; carved out of `scratch`.
template <class T>
struct PromptRoom {
  Matrix<T> kv, dkv;            // (P, 2 kv_heads head_dim): keys, then values.
  Matrix<T> weights, dweights;  // (kQueriesAtOnce, P)
  Matrix<T> found;              // (kQueriesAtOnce, head_dim): weights values.
  PromptRoom(const ModelConfig& config, int length, T* scratch)
      : kv(scratch, length, 2 * std::int64_t{config.kv_heads} * config.head_dim),
        dkv(kv.Row(length), length, kv.columns),
        weights(dkv.Row(length), kQueriesAtOnce, length),
        dweights(weights.Row(kQueriesAtOnce), kQueriesAtOnce, length),
        found(dweights.Row(kQueriesAtOnce), kQueriesAtOnce, config.head_dim) {}
};

// kv = prompt (W_k; W_v)' + bias: the projections without their LoRA.
template <class T>
void ProjectPrompt(const Linear<T>& keys_values, ConstMatrix<T> prompt, T* tile, Matrix<T> kv) {
  const LayerPlaces without{};
  Linear<T> frozen = keys_values;
  frozen.places = &without;
  LinearForward<T>(frozen, {}, prompt, Into::kOverwrite, {.tile = tile}, {}, kv);
}

// Calls visit(first row, rows, query head, key head) for a few rows of one head at a time.
template <class Visit>
void ForEachHead(const ModelConfig& config, const SlotRows& slot, Visit visit) {
  const int groups = config.heads / config.kv_heads;
  for (std::int64_t done = 0; done < slot.count; done += kQueriesAtOnce) {
    const std::int64_t rows = std::min(kQueriesAtOnce, slot.count - done);
    for (int h = 0; h < config.heads; ++h) visit(slot.first + done, rows, h, h / groups);
  }
}

// weights = softmax(scale q keys').
template <class T>
void Weigh(T scale, ConstMatrix<T> q, ConstMatrix<T> keys, Matrix<T> weights) {
  MultiplyTransposed(1, q, keys, 0, weights);
  for (std::int64_t i = 0; i < weights.rows; ++i) {
    SoftmaxRow(scale, weights.columns, weights.columns, weights.Row(i));
  }
}

}  // namespace

std::int64_t PromptScratchElements(const ModelConfig& config, int length) {
  const std::int64_t kv = std::int64_t{config.kv_heads} * config.head_dim;
  return length == 0 ? 0 : 4 * kv * length + kQueriesAtOnce * (2 * length + config.head_dim);
}

template <class T>
void PromptForward(const Linear<T>& keys_values,
                   std::span<const SlotRows> slots,
                   ConstMatrix<T> q,
                   T* tile,
                   T* scratch,
                   Matrix<T> out) {
  const ModelConfig& config = *keys_values.config;
  const PromptPlace& place = keys_values.places->prompt;
  const std::int64_t dim = config.head_dim, values_at = config.kv_heads * dim;
  const T scale = static_cast<T>(config.AttentionScale());
  const PromptRoom<T> room(config, place.length, scratch);
  for (const SlotRows& slot : slots) {
    const T* const parameters = keys_values.slots[static_cast<std::size_t>(slot.slot)].parameters;
    const T gate = parameters[place.gate];
    const Matrix<const T> prompt(parameters + place.prompt, place.length, config.hidden_size);
    ProjectPrompt(keys_values, prompt, tile, room.kv);
    ForEachHead(config, slot, [&](std::int64_t first, std::int64_t rows, int h, int kv_head) {
      const Matrix<T> weights = room.weights.Rows(0, rows);
      Weigh<T>(scale,
               q.Rows(first, rows).Columns(h * dim, dim),
               room.kv.Columns(kv_head * dim, dim),
               weights);
      Multiply(gate,
               weights,
               Op::kPlain,
               room.kv.Columns(values_at + kv_head * dim, dim),
               Op::kPlain,
               1,
               out.Rows(first, rows).Columns(h * dim, dim));
    });
  }
}

// With p the weights, f = p values: dgate = sum(dout f), dp = gate dout values',
// ds = scale p (dp - sum(p dp)), dq += ds keys, dkeys = ds' q, dvalues = gate p' dout,
// dprompt = dkeys W_k + dvalues W_v.
template <class T>
void PromptBackward(const Linear<T>& keys_values,
                    std::span<const SlotRows> slots,
                    ConstMatrix<T> q,
                    ConstMatrix<T> dout,
                    bool trained,
                    T* tile,
                    T* scratch,
                    Matrix<T> dq) {
  const ModelConfig& config = *keys_values.config;
  const PromptPlace& place = keys_values.places->prompt;
  const std::int64_t dim = config.head_dim, values_at = config.kv_heads * dim;
  const T scale = static_cast<T>(config.AttentionScale());
  const PromptRoom<T> room(config, place.length, scratch);
  for (const SlotRows& slot : slots) {
    const auto& [parameters, gradient] = keys_values.slots[static_cast<std::size_t>(slot.slot)];
    const T gate = parameters[place.gate];
    const Matrix<const T> prompt(parameters + place.prompt, place.length, config.hidden_size);
    ProjectPrompt(keys_values, prompt, tile, room.kv);
    std::fill_n(room.dkv.data, room.dkv.rows * room.dkv.columns, T{0});
    T dgate = 0;
    ForEachHead(config, slot, [&](std::int64_t first, std::int64_t rows, int h, int kv_head) {
      const auto of_head = [&](auto x) { return x.Rows(first, rows).Columns(h * dim, dim); };
      const Matrix<T> p = room.weights.Rows(0, rows), ds = room.dweights.Rows(0, rows);
      const Matrix<T> found = room.found.Rows(0, rows);
      const Matrix<const T> dout_own = of_head(dout), q_own = of_head(q);
      const Matrix<T> keys = room.kv.Columns(kv_head * dim, dim);
      const Matrix<T> values = room.kv.Columns(values_at + kv_head * dim, dim);
      Weigh<T>(scale, q_own, keys, p);
      Multiply(1, p, Op::kPlain, values, Op::kPlain, 0, found);
      MultiplyTransposed(gate, dout_own, values, 0, ds);
      for (std::int64_t i = 0; i < rows; ++i) {
        T* const pi = p.Row(i);
        T* const dsi = ds.Row(i);
        T mean = 0;
        for (std::int64_t j = 0; j < p.columns; ++j) mean += pi[j] * dsi[j];
        for (std::int64_t j = 0; j < p.columns; ++j) dsi[j] = scale * pi[j] * (dsi[j] - mean);
        for (std::int64_t j = 0; j < dim; ++j) dgate += dout_own.Row(i)[j] * found.Row(i)[j];
      }
      Multiply(1, ds, Op::kPlain, keys, Op::kPlain, 1, of_head(dq));
      Multiply(1, ds, Op::kTransposed, q_own, Op::kPlain, 1, room.dkv.Columns(kv_head * dim, dim));
      Multiply(gate,
               p,
               Op::kTransposed,
               dout_own,
               Op::kPlain,
               1,
               room.dkv.Columns(values_at + kv_head * dim, dim));
    });
    if (!trained) continue;
    gradient[place.gate] += dgate;
    const ProjectionPlace rows = PlaceOf(config, kK);
    const Matrix<T> dprompt(gradient + place.prompt, place.length, config.hidden_size);
    MultiplyBackThrough<T>(
        keys_values.weights->matrices[kAttentionIn], rows.first_row, room.dkv, 1, tile, dprompt);
  }
}

#define DASHF_INSTANTIATE(T)                                                           \
  template void PromptForward<T>(                                                      \
      const Linear<T>&, std::span<const SlotRows>, ConstMatrix<T>, T*, T*, Matrix<T>); \
  template void PromptBackward<T>(const Linear<T>&,                                    \
                                  std::span<const SlotRows>,                           \
                                  ConstMatrix<T>,                                      \
                                  ConstMatrix<T>,                                      \
                                  bool,                                                \
                                  T*,                                                  \
                                  T*,                                                  \
                                  Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
