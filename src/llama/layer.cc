#include "llama/layer.h"

#include <algorithm>

#include "llama/attention.h"
#include "llama/gated_unit.h"
#include "llama/prompt_attention.h"
#include "llama/rms_norm.h"

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
const ModelConfig& ConfigOf(const Layer<T>& layer) {
  return layer.weights->config;
}

template <class T>
RmsNorm NormOf(const Layer<T>& layer, Norm norm) {
  return layer.weights->NormOf(static_cast<std::size_t>(layer.index), norm);
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

// Queries (Q, heads head_dim) and keys (N, kv_heads head_dim) as attention compares them.
template <class T>
struct Compared {
  Matrix<T> q, k;
};
template <class T>
Compared<T> ComparedOf(const Layer<T>& layer,
                       const LayerScratch<T>& scratch,
                       const LayerState<T>& state) {
  const Matrix<T> q = state.q, k = Keys(state.kv);
  if (!ConfigOf(layer).head_norms) return {q, k};
  return {scratch.normed_qk.Rows(0, q.rows).Columns(0, q.columns),
          scratch.normed_qk.Columns(q.columns, k.columns)};
}

template <class T>
void TurnBoth(const Layer<T>& layer, typename Rotary<T>::Way way, Matrix<T> q, Matrix<T> k) {
  layer.rotary->Turn(layer.index, OutPositions(layer), way, q);
  layer.rotary->Turn(layer.index, layer.rows.positions, way, k);
}

// From projected queries and keys to those.
template <class T>
Compared<T> NormAndTurn(const Layer<T>& layer,
                        const LayerScratch<T>& scratch,
                        const LayerState<T>& state) {
  const Compared<T> compared = ComparedOf(layer, scratch, state);
  const auto& [q, k] = compared;
  if (const ModelConfig& config = ConfigOf(layer); config.head_norms) {
    T* const of_keys = scratch.head_inverse + config.heads * q.rows;
    HeadNormForward<T>(
        state.q, NormOf(layer, kQueryNorm), config.head_dim, scratch.head_inverse, q);
    HeadNormForward<T>(Keys(state.kv), NormOf(layer, kKeyNorm), config.head_dim, of_keys, k);
  }
  TurnBoth(layer, Rotary<T>::Way::kForward, q, k);
  return compared;
}

// And back, of their gradients, which are overwritten.
template <class T>
void NormAndTurnBackward(const Layer<T>& layer,
                         const LayerScratch<T>& scratch,
                         const LayerState<T>& state,
                         Matrix<T> dq,
                         Matrix<T> dk) {
  TurnBoth(layer, Rotary<T>::Way::kBackward, dq, dk);
  const ModelConfig& config = ConfigOf(layer);
  if (!config.head_norms) return;
  const T* const of_keys = scratch.head_inverse + config.heads * dq.rows;
  HeadNormBackward<T>(
      state.q, NormOf(layer, kQueryNorm), config.head_dim, scratch.head_inverse, dq);
  HeadNormBackward<T>(Keys(state.kv), NormOf(layer, kKeyNorm), config.head_dim, of_keys, dk);
}

// A block's last projection of x, added to `to` (Q, d), normed before where it is; with `to` unset
// only what the backward needs.
template <class T>
void AddBlock(const Layer<T>& layer,
              const LayerScratch<T>& scratch,
              const Linear<T>& projection,
              ConstMatrix<T> x,
              Matrix<T> h,
              Norm norm,
              const BlockOutput<T>& kept,
              Matrix<T> to) {
  if (kept.rows.data == nullptr) {
    if (to.data == nullptr) return;
    LinearForward<T>(projection, OutSlots(layer), x, Into::kAdd, scratch.linear, h, to);
    return;
  }
  LinearForward<T>(projection, OutSlots(layer), x, Into::kOverwrite, scratch.linear, h, kept.rows);
  const Matrix<T> normed = scratch.normed.Rows(0, kept.rows.rows);
  RmsNormForward<T>(kept.rows, NormOf(layer, norm), kept.inverse, normed);
  for (std::int64_t i = 0; i < to.rows; ++i) {
    for (std::int64_t j = 0; j < to.columns; ++j) to.Row(i)[j] += normed.Row(i)[j];
  }
}

// The gradient of that projection from that of what it was added to, which stays.
template <class T>
Matrix<T> BackToBlock(const Layer<T>& layer,
                      const LayerScratch<T>& scratch,
                      Norm norm,
                      const BlockOutput<T>& kept,
                      Matrix<T> d) {
  if (kept.rows.data == nullptr) return d;
  const Matrix<T> dblock = scratch.dnormed.Rows(0, d.rows);
  RmsNormBackward<T>(kept.rows, NormOf(layer, norm), kept.inverse, d, dblock);
  return dblock;
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
  RmsNormAgain<T>(state->input, NormOf(layer, kInputNorm), state->input_inverse, scratch.normed);
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
  const RmsNorm norm = NormOf(layer, kFeedForwardNorm);
  const Activation activation = ConfigOf(layer).activation;
  const Linear<T> down = Part(layer, kDown, kProjections), in = Part(layer, kGate, kDown);
  const Matrix<T> dact = scratch.dact.Rows(0, rows), act = scratch.act.Rows(0, rows);
  const bool trains_down = layer.trained && down.Rank() > 0;
  // gate_up is intact until GatedUnitBackward, which reads dact: act for LoRA comes before both.
  if (trains_down) GatedUnitForward<T>(activation, state->gate_up, act);
  LinearBackward<T>(down,
                    OutSlots(layer),
                    act,
                    state->h[kFeedForwardOut],
                    BackToBlock(layer, scratch, kFeedForwardOutNorm, state->feed_forward_out, d),
                    layer.trained,
                    scratch.linear,
                    dact);
  GatedUnitBackward<T>(activation, dact, state->gate_up);
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
  RmsNormBackwardAdd<T>(state->middle, norm, state->middle_inverse, dnormed, d);
}

}  // namespace

template <class T>
void LayerForward(const Layer<T>& layer,
                  const LayerScratch<T>& scratch,
                  LayerState<T>* state,
                  Matrix<T> out) {
  RmsNormForward<T>(state->input, NormOf(layer, kInputNorm), state->input_inverse, scratch.normed);
  ProjectQkv<T>(layer, scratch, scratch.normed, state);
  const Compared<T> compared = NormAndTurn(layer, scratch, *state);
  AttentionForward<T>(HeadsOf(ConfigOf(layer), layer.index),
                      OutSequences(layer),
                      OutPositions(layer),
                      compared.q,
                      compared.k,
                      Values(state->kv),
                      scratch.attention,
                      state->log_sum,
                      state->attended);
  if (Places(layer).prompt.length > 0) {
    PromptForward<T>(Part(layer, kK, kO),
                     OutSlots(layer),
                     compared.q,
                     scratch.linear.tile,
                     scratch.prompt,
                     state->attended);
  }
  CopyOutRows<T>(layer, state->input, state->middle);
  AddBlock<T>(layer,
              scratch,
              Part(layer, kO, kGate),
              state->attended,
              state->h[kAttentionOut],
              kAttentionOutNorm,
              state->attention_out,
              state->middle);
  const Matrix<T> normed = scratch.normed.Rows(0, state->middle.rows);
  RmsNormForward<T>(state->middle, NormOf(layer, kFeedForwardNorm), state->middle_inverse, normed);
  LinearForward<T>(Part(layer, kGate, kDown),
                   OutSlots(layer),
                   normed,
                   Into::kOverwrite,
                   scratch.linear,
                   state->h[kFeedForwardIn],
                   state->gate_up);
  if (out.data == nullptr && state->feed_forward_out.rows.data == nullptr) return;
  const Matrix<T> act = scratch.act.Rows(0, state->middle.rows);
  GatedUnitForward<T>(ConfigOf(layer).activation, state->gate_up, act);
  for (std::int64_t i = 0; i < out.rows; ++i) {
    std::copy_n(state->middle.Row(i), out.columns, out.Row(i));
  }
  AddBlock<T>(layer,
              scratch,
              Part(layer, kDown, kProjections),
              act,
              state->h[kFeedForwardOut],
              kFeedForwardOutNorm,
              state->feed_forward_out,
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
                    BackToBlock(layer, scratch, kAttentionOutNorm, state->attention_out, d),
                    layer.trained,
                    scratch.linear,
                    dattended);
  const std::int64_t q_width = state->q.columns;
  const Matrix<T> dq = scratch.dqkv.Rows(0, d.rows).Columns(0, q_width);
  const Matrix<T> dkv = scratch.dqkv.Columns(q_width, state->kv.columns);
  const Compared<T> compared = ConfigOf(layer).head_norms ? NormAndTurn(layer, scratch, *state)
                                                          : ComparedOf(layer, scratch, *state);
  AttentionBackward<T>(HeadsOf(ConfigOf(layer), layer.index),
                       OutSequences(layer),
                       OutPositions(layer),
                       compared.q,
                       compared.k,
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
                      compared.q,
                      dattended,
                      layer.trained,
                      scratch.linear.tile,
                      scratch.prompt,
                      dq);
  }
  NormAndTurnBackward(layer, scratch, *state, dq, Keys(dkv));
  ProjectQkvBackward<T>(layer, scratch, state, dq, dkv);
  if (!layer.wants_dx) return;
  if (layer.narrow) {
    for (std::int64_t i = 0; i < dx.rows; ++i) std::fill_n(dx.Row(i), dx.columns, T{0});
    AddAtLossRows<T>(layer, d, dx);
  }
  RmsNormBackwardAdd<T>(
      state->input, NormOf(layer, kInputNorm), state->input_inverse, scratch.dnormed, dx);
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
