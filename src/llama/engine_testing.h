// Passes of the engine for this module's tests, and the check of its gradients.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "llama/engine.h"
#include "llama/testing.h"

namespace dashf::llama::testing {

inline const std::vector<int> kAllProjections = {2, 3, 1, 2, 2, 1, 3};

template <class T>
struct Outcome {
  std::vector<double> losses;             // Per slot.
  std::vector<std::vector<T>> gradients;  // Per slot.
  bool operator==(const Outcome&) const = default;
};

template <class T>
Outcome<T> OneStep(Engine<T>* engine,
                   std::span<const Sequence> sequences,
                   const std::vector<std::vector<T>>& parameters) {
  Outcome<T> outcome;
  std::vector<Slot<T>> slots;
  outcome.gradients.resize(parameters.size());
  for (std::size_t s = 0; s < parameters.size(); ++s) {
    outcome.gradients[s].resize(parameters[s].size());
    slots.push_back({parameters[s].data(), outcome.gradients[s].data()});
  }
  outcome.losses = engine->LossAndGradient(sequences, slots);
  return outcome;
}

// The hidden states that enter layer `first`, per sequence key.
template <class T>
using Hidden = std::vector<std::vector<T>>;

template <class T>
Hidden<T> HiddenBelow(const Weights& weights,
                      const AdapterLayout& layout,
                      int first,
                      std::span<const Sequence> sequences,
                      std::vector<T> parameters) {
  Engine<T> engine(weights, layout, {0, first + 1, first + 1, first + 1}, {.positions = 128});
  Hidden<T> hidden(sequences.size());
  const Slot<T> slot{parameters.data(), nullptr};
  engine.ForEachHidden(sequences, {&slot, 1}, [&](const PackedBatch& batch, Matrix<const T> rows) {
    for (std::size_t s = 0; s < batch.keys.size(); ++s) {
      const AttentionRows& own = batch.all[s];
      hidden[static_cast<std::size_t>(batch.keys[s])].assign(rows.Row(own.first_key),
                                                             rows.Row(own.first_key + own.keys));
    }
  });
  return hidden;
}

template <class T>
EnterRows<T> From(const Hidden<T>& hidden) {
  return [&hidden](std::int64_t key, Matrix<T> rows) {
    const auto& own = hidden[static_cast<std::size_t>(key)];
    std::copy(own.begin(), own.end(), rows.data);
  };
}

// The gradient along random directions against (loss(x + h v) - loss(x - h v)) / 2h in double, one
// trained layer at a time. With |v| = 1 and h = 1e-5 the truncation error is about h^2 = 1e-10 and
// rounding about 1e-16 / h = 1e-11. A wrong entry shows in almost every direction.
inline void ExpectGradientsMatchCentralDifferences(const ModelConfig& config,
                                                   const AdapterLayout& layout,
                                                   const LayerRange& range,
                                                   Keep keep = Keep::kAll) {
  constexpr double kStep = 1e-5;
  const Weights weights = RandomWeights(config, 3);
  const RandomBatch batch(config, 4, 1, 7);
  std::vector<std::vector<double>> parameters = {RandomParameters<double>(layout, 5)};
  Engine<double> engine(weights, layout, range, {.keep = keep, .positions = 128});
  const Hidden<double> hidden =
      HiddenBelow<double>(weights, layout, range.begin, batch.sequences, parameters[0]);
  engine.SetEntrance(From(hidden));
  const Outcome<double> at = OneStep(&engine, batch.sequences, parameters);
  const std::vector<double> kept = parameters[0];
  Rng rng(31);
  for (int layer = 0; layer < config.layers; ++layer) {
    const LayerPlaces& places = layout.layers[static_cast<std::size_t>(layer)];
    const bool trained = range.first_trained <= layer && layer < range.last_trained;
    double largest = 0.0;
    for (std::int64_t i = places.begin; i < places.end; ++i) {
      largest = std::max(largest, std::abs(at.gradients[0][static_cast<std::size_t>(i)]));
    }
    EXPECT_EQ(largest > 1e-4, trained) << "layer " << layer;
    for (int repeat = 0; trained && repeat < 12; ++repeat) {
      std::vector<double> direction(kept.size(), 0.0);
      double norm = 0.0, along = 0.0;
      for (std::int64_t i = places.begin; i < places.end; ++i) {
        const auto j = static_cast<std::size_t>(i);
        direction[j] = rng.Normal();
        norm += direction[j] * direction[j];
      }
      const auto moved = [&](double h) {
        for (std::size_t i = 0; i < kept.size(); ++i) {
          parameters[0][i] = kept[i] + h * direction[i] / std::sqrt(norm);
        }
        return OneStep(&engine, batch.sequences, parameters).losses[0];
      };
      for (std::size_t i = 0; i < kept.size(); ++i) {
        along += at.gradients[0][i] * direction[i] / std::sqrt(norm);
      }
      EXPECT_NEAR(along, (moved(kStep) - moved(-kStep)) / (2.0 * kStep), 1e-8) << "layer " << layer;
    }
  }
}

}  // namespace dashf::llama::testing
