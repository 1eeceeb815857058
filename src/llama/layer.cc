#include "llama/layer.h"

#include <algorithm>

#include "llama/attention.h"
#include "llama/prompt_attention.h"
#include "llama/rms_norm.h"
#include "llama/swiglu.h"

namespace dashf::llama {
namespace {

template <class T>
Linear<T> Part(const Layer<T>& layer, int first, int last) {
  const auto index = static_cast<std::size_t>(layer.index);
  return {&layer.weights->config,
          &layer.weights->layers[index],
          &layer.layout->layers[index],
          layer.slots,
          first,
          last};
}

template <class T>
const LayerPlaces& Places(const Layer<T>& layer) {
  return layer.layout->layers[static_cast<std::size_t>(layer.index)];
}

template <class T>
const LayerWeights& WeightsOf(const Layer<T>& layer) {
  return layer.weights->layers[static_cast<std::size_t>(layer.index)];
}

template <class T>
HeadShape Heads(const Layer<T>& layer) {
  const ModelConfig& config = layer.weights->config;
  return {config.heads, config.kv_heads, config.head_dim};
}

// The rows that leave the layer, by slot, by sequence and by position.
template <class T>
std::span<const SlotRows> OutSlots(const Layer<T>& layer) {
  return layer.narrow ? layer.batch->slot_loss_rows : layer.rows.slots;
}
template <class T>
std::span<const AttentionRows> OutSequences(const Layer<T>& layer) {
  return layer.narrow ? layer.batch->chosen : layer.rows.sequences;
}
template <class T>
std::span<const int> OutPositions(const Layer<T>& layer) {
  return layer.narrow ? layer.batch->loss_positions : layer.rows.positions;
}

template <class T>
Matrix<T> Keys(Matrix<T> kv) {
  return kv.Columns(0, kv.columns / 2);
}
template <class T>
Matrix<T> Values(Matrix<T> kv) {
  return kv.Columns(kv.columns / 2, kv.columns / 2);
}

// to (M, d) = the loss rows of from (N, d); or, if all rows leave the layer, a copy.
template <class T>
void CopyOutRows(const Layer<T>& layer, ConstMatrix<T> from, Matrix<T> to) {
  for (std::int64_t i = 0; i < to.rows; ++i) {
    const std::int64_t row = layer.narrow ? layer.batch->loss_rows[static_cast<std::size_t>(i)] : i;
    std::copy_n(from.Row(row), to.columns, to.Row(i));
  }
}

// to (N, d) += from (M, d) at the loss rows.
template <class T>
void AddAtLossRows(const Layer<T>& layer, ConstMatrix<T> from, Matrix<T> to) {
  for (std::int64_t i = 0; i < from.rows; ++i) {
    T* const row = to.Row(layer.batch->loss_rows[static_cast<std::size_t>(i)]);
    const T* const added = from.Row(i);
    for (std::int64_t j = 0; j < from.columns; ++j) row[j] += added[j];
  }
}

template <class T>
void ProjectQkv(const Layer<T>& layer,
                const LayerScratch<T>& scratch,
                ConstMatrix<T> normed,
                LayerState<T>* state) {
  const auto into = Into::kOverwrite;
  if (!layer.narrow) {
    LinearForward<T>(Part(layer, kQ, kO),
                     layer.rows.slots,
                     normed,
                     into,
                     scratch.linear,
                     state->h[kAttentionIn],
                     state->qkv);
    return;
  }
  CopyOutRows<T>(layer, normed, scratch.picked);
  LinearForward<T>(Part(layer, kQ, kK),
                   layer.batch->slot_loss_rows,
                   scratch.picked,
                   into,
                   scratch.linear,
                   state->h[kAttentionIn],
                   state->q);
  LinearForward<T>(
      Part(layer, kK, kO), layer.rows.slots, normed, into, scratch.linear, state->h_kv, state->kv);
}

// x of the attention's projections again, where the backward of their LoRA reads it.
template <class T>
void NormInputAgain(const Layer<T>& layer, const LayerScratch<T>& scratch, LayerState<T>* state) {
  if (!layer.trained || Part(layer, kQ, kO).Rank() == 0) return;
  RmsNormAgain<T>(
      state->input, WeightsOf(layer).input_norm.data(), state->input_inverse, scratch.normed);
  if (layer.narrow) CopyOutRows<T>(layer, scratch.normed, scratch.picked);
}

// From the gradients of q, k, v in scratch.dqkv to that of norm(x) in scratch.dnormed.
template <class T>
void ProjectQkvBackward(const Layer<T>& layer,
                        const LayerScratch<T>& scratch,
                        LayerState<T>* state,
                        ConstMatrix<T> dq,
                        ConstMatrix<T> dkv) {
  NormInputAgain(layer, scratch, state);
  const Matrix<T> dnormed = layer.wants_dx ? scratch.dnormed : Matrix<T>();
  if (!layer.narrow) {
    LinearBackward<T>(Part(layer, kQ, kO),
                      layer.rows.slots,
                      scratch.normed,
                      state->h[kAttentionIn],
                      scratch.dqkv,
                      layer.trained,
                      scratch.linear,
                      dnormed);
    return;
  }
  LinearBackward<T>(Part(layer, kK, kO),
                    layer.rows.slots,
                    scratch.normed,
                    state->h_kv,
                    dkv,
                    layer.trained,
                    scratch.linear,
                    dnormed);
  LinearBackward<T>(Part(layer, kQ, kK),
                    layer.batch->slot_loss_rows,
                    scratch.picked,
                    state->h[kAttentionIn],
                    dq,
                    layer.trained,
                    scratch.linear,
                    layer.wants_dx ? scratch.dpicked : Matrix<T>());
  if (layer.wants_dx) AddAtLossRows<T>(layer, scratch.dpicked, dnormed);
}

// d (Q, d), the gradient of out, becomes that of middle.
template <class T>
void FeedForwardBackward(const Layer<T>& layer,
                         const LayerScratch<T>& scratch,
                         LayerState<T>* state,
                         Matrix<T> d) {
  const std::int64_t rows = d.rows;
  const float* const norm = WeightsOf(layer).post_attention_norm.data();
  const Linear<T> down = Part(layer, kDown, kProjections), in = Part(layer, kGate, kDown);
  const Matrix<T> dact = scratch.dact.Rows(0, rows), act = scratch.act.Rows(0, rows);
  const bool trains_down = layer.trained && down.Rank() > 0;
  // gate_up is intact until SwiGluBackward, which reads dact: act for LoRA comes before both.
  if (trains_down) SwiGluForward<T>(state->gate_up, act);
  LinearBackward<T>(down,
                    OutSlots(layer),
                    act,
                    state->h[kFeedForwardOut],
                    d,
                    layer.trained,
                    scratch.linear,
                    dact);
  SwiGluBackward<T>(dact, state->gate_up);
  const Matrix<T> normed = scratch.normed.Rows(0, rows), dnormed = scratch.dnormed.Rows(0, rows);
  if (layer.trained && in.Rank() > 0) {
    RmsNormAgain<T>(state->middle, norm, state->middle_inverse, normed);
  }
  LinearBackward<T>(in,
                    OutSlots(layer),
                    normed,
                    state->h[kFeedForwardIn],
                    state->gate_up,
                    layer.trained,
                    scratch.linear,
                    dnormed);
  RmsNormBackward<T>(state->middle, norm, state->middle_inverse, dnormed, d);
}

}  // namespace

template <class T>
void LayerForward(const Layer<T>& layer,
                  const LayerScratch<T>& scratch,
                  LayerState<T>* state,
                  Matrix<T> out) {
  const LayerWeights& weights = WeightsOf(layer);
  const double eps = layer.weights->config.rms_norm_eps;
  RmsNormForward<T>(
      state->input, weights.input_norm.data(), eps, state->input_inverse, scratch.normed);
  ProjectQkv<T>(layer, scratch, scratch.normed, state);
  layer.rotary->Turn(OutPositions(layer), Rotary<T>::Way::kForward, state->q);
  layer.rotary->Turn(layer.rows.positions, Rotary<T>::Way::kForward, Keys(state->kv));
  AttentionForward<T>(Heads(layer),
                      OutSequences(layer),
                      OutPositions(layer),
                      state->q,
                      Keys(state->kv),
                      Values(state->kv),
                      scratch.attention,
                      state->log_sum,
                      state->attended);
  if (Places(layer).prompt.length > 0) {
    PromptForward<T>(Part(layer, kK, kO),
                     OutSlots(layer),
                     state->q,
                     scratch.linear.tile,
                     scratch.prompt,
                     state->attended);
  }
  CopyOutRows<T>(layer, state->input, state->middle);
  LinearForward<T>(Part(layer, kO, kGate),
                   OutSlots(layer),
                   state->attended,
                   Into::kAdd,
                   scratch.linear,
                   state->h[kAttentionOut],
                   state->middle);
  const Matrix<T> normed = scratch.normed.Rows(0, state->middle.rows);
  RmsNormForward<T>(
      state->middle, weights.post_attention_norm.data(), eps, state->middle_inverse, normed);
  LinearForward<T>(Part(layer, kGate, kDown),
                   OutSlots(layer),
                   normed,
                   Into::kOverwrite,
                   scratch.linear,
                   state->h[kFeedForwardIn],
                   state->gate_up);
  if (out.data == nullptr) return;
  const Matrix<T> act = scratch.act.Rows(0, out.rows);
  SwiGluForward<T>(state->gate_up, act);
  for (std::int64_t i = 0; i < out.rows; ++i) {
    std::copy_n(state->middle.Row(i), out.columns, out.Row(i));
  }
  LinearForward<T>(Part(layer, kDown, kProjections),
                   OutSlots(layer),
                   act,
                   Into::kAdd,
                   scratch.linear,
                   state->h[kFeedForwardOut],
                   out);
}

template <class T>
void LayerBackward(const Layer<T>& layer,
                   const LayerScratch<T>& scratch,
                   LayerState<T>* state,
                   Matrix<T> d,
                   Matrix<T> dx) {
  FeedForwardBackward(layer, scratch, state, d);
  const Matrix<T> dattended = scratch.dattended.Rows(0, d.rows);
  LinearBackward<T>(Part(layer, kO, kGate),
                    OutSlots(layer),
                    state->attended,
                    state->h[kAttentionOut],
                    d,
                    layer.trained,
                    scratch.linear,
                    dattended);
  const std::int64_t q_width = state->q.columns;
  const Matrix<T> dq = scratch.dqkv.Rows(0, d.rows).Columns(0, q_width);
  const Matrix<T> dkv = scratch.dqkv.Columns(q_width, state->kv.columns);
  AttentionBackward<T>(Heads(layer),
                       OutSequences(layer),
                       OutPositions(layer),
                       state->q,
                       Keys(state->kv),
                       Values(state->kv),
                       state->log_sum,
                       dattended,
                       scratch.attention,
                       dq,
                       Keys(dkv),
                       Values(dkv));
  if (Places(layer).prompt.length > 0) {
    PromptBackward<T>(Part(layer, kK, kO),
                      OutSlots(layer),
                      state->q,
                      dattended,
                      layer.trained,
                      scratch.linear.tile,
                      scratch.prompt,
                      dq);
  }
  layer.rotary->Turn(OutPositions(layer), Rotary<T>::Way::kBackward, dq);
  layer.rotary->Turn(layer.rows.positions, Rotary<T>::Way::kBackward, Keys(dkv));
  ProjectQkvBackward<T>(layer, scratch, state, dq, dkv);
  if (!layer.wants_dx) return;
  if (layer.narrow) {
    for (std::int64_t i = 0; i < dx.rows; ++i) std::fill_n(dx.Row(i), dx.columns, T{0});
    AddAtLossRows<T>(layer, d, dx);
  }
  RmsNormBackward<T>(
      state->input, WeightsOf(layer).input_norm.data(), state->input_inverse, scratch.dnormed, dx);
}

#define DASHF_INSTANTIATE(T)                                               \
  template void LayerForward<T>(                                           \
      const Layer<T>&, const LayerScratch<T>&, LayerState<T>*, Matrix<T>); \
  template void LayerBackward<T>(                                          \
      const Layer<T>&, const LayerScratch<T>&, LayerState<T>*, Matrix<T>, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
