#include "llama/workspace.h"

#include <algorithm>
#include <utility>

#include "llama/head_loss.h"
#include "llama/prompt_attention.h"

namespace dashf::llama {
namespace {

// Hands out consecutive pieces, each on a cache line of its own.
template <class T>
class Arena {
 public:
  explicit Arena(T* memory) : memory_(memory) {}

  T* Take(std::int64_t elements) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    const std::int64_t begin = std::exchange(used_, used_ + (elements + kLine - 1) / kLine * kLine);
    return memory_ == nullptr ? nullptr : memory_ + begin;
  }
  Matrix<T> Take(std::int64_t rows, std::int64_t columns) {
    return {Take(rows * columns), rows, columns};
  }
  std::int64_t used() const { return used_; }

 private:
  T* memory_;
  std::int64_t used_ = 0;
};

int RankOf(const LayerPlaces& places, int first, int last) {
  int rank = 0;
  for (int p = first; p < last; ++p) rank += places.lora[static_cast<std::size_t>(p)].rank;
  return rank;
}

struct Widths {
  std::int64_t d, q, kv, f;
};
Widths WidthsOf(const ModelConfig& config) {
  const std::int64_t dim = config.head_dim;
  return {config.hidden_size, config.heads * dim, config.kv_heads * dim, config.intermediate_size};
}

// Everything but the input and LoRA's h.
template <class T>
LayerState<T> TakeState(const ModelConfig& config,
                        const BatchSize& size,
                        bool narrow,
                        Arena<T>* arena) {
  const auto [d, q, kv, f] = WidthsOf(config);
  const std::int64_t out = narrow ? size.loss_rows : size.rows;
  LayerState<T> state;
  state.input_inverse = arena->Take(size.rows);
  if (narrow) {
    state.q = arena->Take(out, q);
    state.kv = arena->Take(size.rows, 2 * kv);
  } else {
    state.qkv = arena->Take(size.rows, q + 2 * kv);
    state.q = state.qkv.Columns(0, q);
    state.kv = state.qkv.Columns(q, 2 * kv);
  }
  state.log_sum = arena->Take(out, config.heads);
  state.attended = arena->Take(out, q);
  state.middle = arena->Take(out, d);
  state.middle_inverse = arena->Take(out);
  state.gate_up = arena->Take(out, 2 * f);
  if (config.output_norms) {
    for (BlockOutput<T>* block : {&state.attention_out, &state.feed_forward_out}) {
      *block = {arena->Take(out, d), arena->Take(out)};
    }
  }
  return state;
}

template <class T>
void TakeLora(const LayerPlaces& places,
              const BatchSize& size,
              bool narrow,
              Arena<T>* arena,
              LayerState<T>* state) {
  const std::int64_t out = narrow ? size.loss_rows : size.rows;
  state->h[kAttentionIn] = arena->Take(out, RankOf(places, kQ, narrow ? kK : kO));
  state->h_kv = arena->Take(size.rows, narrow ? RankOf(places, kK, kO) : 0);
  state->h[kAttentionOut] = arena->Take(out, RankOf(places, kO, kGate));
  state->h[kFeedForwardIn] = arena->Take(out, RankOf(places, kGate, kDown));
  state->h[kFeedForwardOut] = arena->Take(out, RankOf(places, kDown, kProjections));
}

template <class T>
std::vector<LayerState<T>> TakeStates(const ModelConfig& config,
                                      const AdapterLayout& layout,
                                      const LayerRange& range,
                                      Keep keep,
                                      const BatchSize& size,
                                      Arena<T>* arena) {
  std::vector<LayerState<T>> states;
  Matrix<T> spare[2];
  LayerState<T> shared;
  bool have_shared = false;
  for (int i = range.begin; i < range.end; ++i) {
    const bool narrow = i == range.end - 1;
    const bool passed_again = range.Trains() && i >= range.first_trained;
    LayerState<T>& state = states.emplace_back();
    if (narrow || (passed_again && keep == Keep::kAll)) {
      state = TakeState(config, size, narrow, arena);
    } else {
      if (!std::exchange(have_shared, true)) shared = TakeState(config, size, narrow, arena);
      state = shared;
    }
    TakeLora(layout.layers[static_cast<std::size_t>(i)], size, narrow, arena, &state);
    Matrix<T>& input = spare[i % 2];
    if (passed_again || input.rows == 0) input = arena->Take(size.rows, config.hidden_size);
    state.input = input;
  }
  return states;
}

// Widest over the pass's layers.
template <class Width>
std::int64_t Widest(const AdapterLayout& layout, const LayerRange& range, Width width) {
  std::int64_t widest = 0;
  for (int i = range.begin; i < range.end; ++i) {
    widest = std::max<std::int64_t>(widest, width(layout.layers[static_cast<std::size_t>(i)]));
  }
  return widest;
}

template <class T>
LayerScratch<T> TakeScratch(const ModelConfig& config,
                            const AdapterLayout& layout,
                            const LayerRange& range,
                            const BatchSize& size,
                            Arena<T>* arena) {
  const auto [d, q, kv, f] = WidthsOf(config);
  const std::int64_t widest = std::max({d, q, f});  // Any projection's input.
  const std::int64_t backward = range.Trains() ? 1 : 0;
  const std::int64_t rank = Widest(layout, range, [](const LayerPlaces& places) {
    return std::max({RankOf(places, kQ, kO),
                     RankOf(places, kO, kGate),
                     RankOf(places, kGate, kDown),
                     RankOf(places, kDown, kProjections)});
  });
  // The feed-forward block of the last layer sees the loss rows alone.
  const std::int64_t rows = range.end - range.begin > 1 ? size.rows : size.loss_rows;
  LayerScratch<T> scratch;
  scratch.normed = arena->Take(size.rows, d);
  scratch.dnormed = arena->Take(backward * size.rows, d);
  scratch.picked = arena->Take(size.loss_rows, d);
  scratch.dpicked = arena->Take(backward * size.loss_rows, d);
  scratch.act = arena->Take(rows, f);
  scratch.dact = arena->Take(backward * rows, f);
  scratch.dattended = arena->Take(backward * rows, q);
  scratch.dqkv = arena->Take(backward * size.rows, q + 2 * kv);
  if (config.head_norms) {
    scratch.normed_qk = arena->Take(size.rows, q + kv);
    scratch.head_inverse = arena->Take((config.heads + config.kv_heads) * size.rows);
  }
  scratch.attention = arena->Take(AttentionScratchElements(size.longest));
  scratch.prompt = arena->Take(Widest(layout, range, [&](const LayerPlaces& places) {
    return PromptScratchElements(config, places.prompt.length);
  }));
  scratch.linear.tile = arena->Take(StoredMatrix::ScratchElements(widest));
  scratch.linear.stacked_a = arena->Take(rank * widest);
  scratch.linear.dh = arena->Take(backward * rank * size.rows);
  return scratch;
}

template <class T>
std::int64_t LayOutAt(const ModelConfig& config,
                      const AdapterLayout& layout,
                      const LayerRange& range,
                      Keep keep,
                      const BatchSize& size,
                      T* memory,
                      Workspace<T>* workspace) {
  Arena<T> arena(memory);
  const std::int64_t d = config.hidden_size;
  workspace->states = TakeStates(config, layout, range, keep, size, &arena);
  workspace->scratch = TakeScratch(config, layout, range, size, &arena);
  workspace->top = arena.Take(size.loss_rows, d);
  workspace->top_inverse = arena.Take(size.loss_rows);
  workspace->dtop = arena.Take(size.loss_rows, d);
  workspace->d = arena.Take(range.Trains() ? size.rows : 0, d);
  workspace->logits = arena.Take(LogitsElements(size.loss_rows, config.vocab_size));
  return arena.used();
}

}  // namespace

std::int64_t WorkspaceElements(const ModelConfig& config,
                               const AdapterLayout& layout,
                               const LayerRange& range,
                               Keep keep,
                               const BatchSize& size) {
  Workspace<float> unused;
  return LayOutAt<float>(config, layout, range, keep, size, nullptr, &unused);
}

template <class T>
Workspace<T> LayOut(const ModelConfig& config,
                    const AdapterLayout& layout,
                    const LayerRange& range,
                    Keep keep,
                    const BatchSize& size,
                    T* memory) {
  Workspace<T> workspace;
  LayOutAt(config, layout, range, keep, size, memory, &workspace);
  return workspace;
}

template Workspace<float> LayOut<float>(
    const ModelConfig&, const AdapterLayout&, const LayerRange&, Keep, const BatchSize&, float*);
template Workspace<double> LayOut<double>(
    const ModelConfig&, const AdapterLayout&, const LayerRange&, Keep, const BatchSize&, double*);

}  // namespace dashf::llama
