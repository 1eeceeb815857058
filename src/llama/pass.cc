#include "llama/pass.h"

#include <algorithm>

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

}  // namespace

BatchSize SizeOf(const PackedBatch& batch) {
  return {std::ssize(batch.tokens), std::ssize(batch.loss_rows), batch.longest};
}

template <class T>
Matrix<T> EnterLastLayer(const Pass<T>& pass,
                         const PackedBatch& batch,
                         std::span<const Slot<T>> slots,
                         Workspace<T>* workspace) {
  const Matrix<T> rows = workspace->states.front().input;
  if (pass.range.begin > 0) {
    pass.enter(batch, rows);
  } else {
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      pass.weights->embedding.Decode(batch.tokens[static_cast<std::size_t>(i)], rows.Rows(i, 1));
    }
  }
  for (int i = pass.range.begin; i < pass.range.end - 1; ++i) {
    LayerForward<T>(At(pass, batch, slots, i),
                    workspace->scratch,
                    &StateOf(pass, i, workspace),
                    StateOf(pass, i + 1, workspace).input);
  }
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
  RmsNormForward<T>(
      top, weights.final_norm.data(), weights.config.rms_norm_eps, workspace->top_inverse, normed);
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
  std::fill_n(dtop.data, dtop.rows * dtop.columns, T{0});
  RmsNormBackward<T>(top, weights.final_norm.data(), workspace->top_inverse, scratch.dpicked, dtop);
  for (int i = range.end - 1; i >= range.first_trained; --i) {
    const Layer<T> layer = At(pass, batch, slots, i);
    LayerState<T>& state = StateOf(pass, i, workspace);
    if (pass.keep == Keep::kInputs && !layer.narrow) {
      LayerForward<T>(layer, scratch, &state, Matrix<T>());
    }
    LayerBackward<T>(layer, scratch, &state, layer.narrow ? dtop : workspace->d, workspace->d);
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
