#include "llama/pass.h"

#include <algorithm>

#include "base/check.h"
#include "llama/head_loss.h"
#include "llama/rms_norm.h"

namespace dashf::llama {
namespace {

template <class T>
Layer<T> At(const Pass<T>& pass,
            const PackedBatch& batch,
            std::span<const Slot<T>> slots,
            int index) {
  const LayerRange& range = pass.range;
  return {.weights = pass.weights,
          .layout = pass.layout,
          .rotary = pass.rotary,
          .batch = &batch,
          .rows = EnteredBy(batch, index - range.begin),
          .slots = slots,
          .index = index,
          .narrow = index == range.end - 1,
          .trained = range.first_trained <= index &&
                     index<range.last_trained, .wants_dx = index> range.first_trained};
}

template <class T>
LayerState<T>& StateOf(const Pass<T>& pass, int index, Workspace<T>* workspace) {
  return workspace->states[static_cast<std::size_t>(index - pass.range.begin)];
}

// What a layer has for the first rows alone, where not all have entered it yet.
template <class T>
LayerState<T> Of(std::int64_t rows, LayerState<T> state) {
  for (Matrix<T>* part : {&state.input,
                          &state.q,
                          &state.kv,
                          &state.qkv,
                          &state.log_sum,
                          &state.attended,
                          &state.middle,
                          &state.gate_up,
                          &state.attention_out.rows,
                          &state.feed_forward_out.rows,
                          &state.h_kv}) {
    *part = part->Rows(0, rows);
  }
  for (Matrix<T>& part : state.h) part = part.Rows(0, rows);
  return state;
}
template <class T>
LayerScratch<T> Of(std::int64_t rows, LayerScratch<T> scratch) {
  for (Matrix<T>* part : {&scratch.normed,
                          &scratch.dnormed,
                          &scratch.act,
                          &scratch.dact,
                          &scratch.dattended,
                          &scratch.dqkv,
                          &scratch.normed_qk}) {
    *part = part->Rows(0, rows);
  }
  return scratch;
}

// The sequences whose first layer this is, into its input.
template <class T>
void Enter(const Pass<T>& pass, const PackedBatch& batch, int index, Matrix<T> input) {
  for (std::size_t s = 0; s < batch.skipped.size(); ++s) {
    if (pass.range.begin + batch.skipped[s] != index) continue;
    const std::int64_t first = batch.all[s].first_key, count = batch.all[s].keys;
    if (index > 0) {
      pass.enter(batch.keys[s], input.Rows(first, count));
      continue;
    }
    for (std::int64_t i = first; i < first + count; ++i) {
      Embed(*pass.weights, batch.tokens[static_cast<std::size_t>(i)], input.Rows(i, 1));
    }
  }
}

}  // namespace

BatchSize SizeOf(const PackedBatch& batch) {
  return {std::ssize(batch.tokens), std::ssize(batch.loss_rows), batch.longest};
}

template <class T>
Matrix<T> EnterLastLayer(const Pass<T>& pass,
                         const PackedBatch& batch,
                         std::span<const Slot<T>> slots,
                         Workspace<T>* workspace) {
  const int last = pass.range.end - 1;
  DASHF_CHECK(batch.skipped.front() >= 0 && pass.range.begin + batch.skipped.back() <= last);
  for (int i = pass.range.begin; i < last; ++i) {
    Enter(pass, batch, i, StateOf(pass, i, workspace).input);
    const Layer<T> layer = At(pass, batch, slots, i);
    const std::int64_t rows = layer.rows.count;
    if (rows == 0) continue;
    LayerState<T> state = Of(rows, StateOf(pass, i, workspace));
    LayerForward<T>(layer,
                    Of(rows, workspace->scratch),
                    &state,
                    StateOf(pass, i + 1, workspace).input.Rows(0, rows));
  }
  Enter(pass, batch, last, workspace->states.back().input);
  return workspace->states.back().input;
}

template <class T>
void RunPass(const Pass<T>& pass,
             const PackedBatch& batch,
             std::span<const Slot<T>> slots,
             Workspace<T>* workspace,
             std::span<double> losses,
             std::span<std::uint8_t> hits) {
  const LayerRange& range = pass.range;
  const LayerScratch<T>& scratch = workspace->scratch;
  const Weights& weights = *pass.weights;
  EnterLastLayer(pass, batch, slots, workspace);
  const Matrix<T> top = workspace->top, dtop = workspace->dtop;
  LayerForward<T>(At(pass, batch, slots, range.end - 1), scratch, &workspace->states.back(), top);
  const Matrix<T> normed = scratch.picked;  // Free by now.
  RmsNormForward<T>(top, weights.FinalNorm(), workspace->top_inverse, normed);
  HeadLoss<T>(weights.Head(),
              normed,
              batch.targets,
              batch.loss_weights,
              scratch.linear.tile,
              workspace->logits,
              losses,
              hits,
              range.Trains() ? scratch.dpicked : Matrix<T>());
  if (!range.Trains()) return;
  RmsNormBackward<T>(top, weights.FinalNorm(), workspace->top_inverse, scratch.dpicked, dtop);
  for (int i = range.end - 1; i >= range.first_trained; --i) {
    const Layer<T> layer = At(pass, batch, slots, i);
    if (layer.narrow) {
      LayerBackward<T>(layer, scratch, &workspace->states.back(), dtop, workspace->d);
      continue;
    }
    const std::int64_t rows = layer.rows.count;
    if (rows == 0) return;  // Nor has anything entered the layers below.
    LayerState<T> state = Of(rows, StateOf(pass, i, workspace));
    const LayerScratch<T> own = Of(rows, scratch);
    // The state that layers share is still that of the layer below the narrow one.
    const bool lost = pass.keep == Keep::kInputs && i < range.end - 2;
    if (lost) LayerForward<T>(layer, own, &state, Matrix<T>());
    const Matrix<T> d = workspace->d.Rows(0, rows);
    LayerBackward<T>(layer, own, &state, d, d);
  }
}

#define DASHF_INSTANTIATE(T)                                                        \
  template Matrix<T> EnterLastLayer<T>(                                             \
      const Pass<T>&, const PackedBatch&, std::span<const Slot<T>>, Workspace<T>*); \
  template void RunPass<T>(const Pass<T>&,                                          \
                           const PackedBatch&,                                      \
                           std::span<const Slot<T>>,                                \
                           Workspace<T>*,                                           \
                           std::span<double>,                                       \
                           std::span<std::uint8_t>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
