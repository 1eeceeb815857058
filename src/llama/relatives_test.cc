// Llama's relatives, through the same passes: each part that one has beside Llama's.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "llama/attention.h"
#include "llama/bfloat16_product.h"
#include "llama/decoder.h"
#include "llama/engine_testing.h"

namespace dashf::llama {
namespace {

using testing::ExpectGradientsMatchCentralDifferences;
using testing::From;
using testing::Hidden;
using testing::HiddenBelow;
using testing::kAllProjections;
using testing::LoraLayout;
using testing::OneStep;
using testing::Outcome;
using testing::PromptLayout;
using testing::RandomBatch;
using testing::RandomParameters;
using testing::RandomWeights;

class Relatives : public ::testing::TestWithParam<ModelConfig> {};

TEST_P(Relatives, GradientsOfEveryPhaseMatchCentralDifferences) {
  const AdapterLayout layout = LoraLayout(GetParam(), kAllProjections);
  ExpectGradientsMatchCentralDifferences(GetParam(), layout, {0, 0, 3, 3});
  ExpectGradientsMatchCentralDifferences(GetParam(), layout, {0, 0, 1, 3});
  ExpectGradientsMatchCentralDifferences(GetParam(), layout, {0, 0, 2, 2});
  ExpectGradientsMatchCentralDifferences(GetParam(), layout, {1, 1, 3, 3});
  ExpectGradientsMatchCentralDifferences(GetParam(), layout, {0, 1, 3, 3}, Keep::kInputs);
}

TEST_P(Relatives, GradientsWithBiasesMatchCentralDifferences) {
  ModelConfig config = GetParam();
  config.attention_bias = AttentionBias::kAll;
  config.mlp_bias = true;
  ExpectGradientsMatchCentralDifferences(config, LoraLayout(config, kAllProjections), {0, 0, 3, 3});
}

TEST_P(Relatives, GradientsOfPromptsMatchCentralDifferences) {
  ExpectGradientsMatchCentralDifferences(GetParam(), PromptLayout(GetParam(), 5), {0, 0, 3, 3});
}

TEST_P(Relatives, GradientsAreTheSameBitsWhenLayersAreComputedAgain) {
  const ModelConfig& config = GetParam();
  const Weights weights = RandomWeights(config, 3);
  const RandomBatch batch(config, 6, 1, 7);
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const std::vector<std::vector<float>> parameters = {RandomParameters<float>(layout, 5)};
  for (const LayerRange& range : {LayerRange{0, 0, 3, 3}, {0, 0, 1, 3}, {1, 1, 3, 3}}) {
    const Hidden<float> hidden =
        HiddenBelow<float>(weights, layout, range.begin, batch.sequences, parameters[0]);
    const auto run = [&](Keep keep) {
      Engine<float> engine(weights, layout, range, {.keep = keep, .positions = 128});
      engine.SetEntrance(From(hidden));
      return OneStep<float>(&engine, batch.sequences, parameters);
    };
    EXPECT_EQ(run(Keep::kAll), run(Keep::kInputs)) << range.begin << ".." << range.last_trained;
  }
}

// One step of an engine on these weights, and how far its gradients are from another's, relative to
// the length of all of them.
Outcome<float> StepOf(const Weights& weights, const AdapterLayout& layout) {
  const int layers = weights.config.layers;
  const RandomBatch batch(weights.config, 8, 1, 7);
  Engine<float> engine(weights, layout, {0, 0, layers, layers}, {.positions = 128});
  return OneStep<float>(&engine, batch.sequences, {RandomParameters<float>(layout, 5)});
}

double Distance(const Outcome<float>& step, const Outcome<float>& exact) {
  double square = 0.0, error = 0.0;
  for (std::size_t i = 0; i < exact.gradients[0].size(); ++i) {
    square += std::pow(exact.gradients[0][i], 2);
    error += std::pow(static_cast<double>(step.gradients[0][i]) - exact.gradients[0][i], 2);
  }
  return std::sqrt(error / square);
}

// Of how many random models a median is taken: now and then one is so steep that any rounding
// shows tenfold in its gradients.
constexpr std::uint64_t kModels = 5;

double Median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
  return values[values.size() / 2];
}

constexpr double kAny = std::numeric_limits<double>::infinity();

struct Bounds {
  Storage storage;
  double loss = 0.0, gradient = 0.0;  // Relative: of each model, and the median.
};

void ExpectNear(const Bounds& bounds, const ModelConfig& config, const AdapterLayout& layout) {
  std::vector<double> distances;
  for (std::uint64_t model = 1; model <= kModels; ++model) {
    const Weights held = RandomWeights(config, model, bounds.storage);
    const Outcome<float> step = StepOf(held, layout), decoded = StepOf(Restore(held, {}), layout);
    const bool as_floats = bounds.storage.arithmetic == Arithmetic::kFloat32;
    const Outcome<float> exact = as_floats ? StepOf(RandomWeights(config, model), layout) : decoded;
    if (as_floats) {  // The step of float32 on what the bits stand for, but for its rounding.
      EXPECT_NEAR(step.losses[0], decoded.losses[0], 1e-5);
      EXPECT_LT(Distance(step, decoded), 1e-4);
    }
    EXPECT_NE(step.losses, exact.losses);
    EXPECT_NEAR(step.losses[0], exact.losses[0], bounds.loss * exact.losses[0]);
    distances.push_back(Distance(step, exact));
  }
  EXPECT_LT(Median(distances), bounds.gradient);
}

// Each format by its error (stored_matrix.h), which three layers of numbers of order 1 carry along;
// NF4's leaves the gradients of models as small as these as far from float32's as they are long.
TEST_P(Relatives, HeldInFewerBitsHaveLossAndGradientsOfWhatTheBitsStandFor) {
  for (const AdapterLayout& layout :
       {LoraLayout(GetParam(), kAllProjections), PromptLayout(GetParam(), 4)}) {
    ExpectNear({StorageOf(Format::kBFloat16), 0.01, 0.06}, GetParam(), layout);
    ExpectNear({StorageOf(Format::kInt8), 0.02, 0.15}, GetParam(), layout);
    ExpectNear({StorageOf(Format::kNf4), 0.15, kAny}, GetParam(), layout);
  }
}

// From float32 arithmetic on the same rounded weights.
TEST_P(Relatives, MultipliedInBFloat16StayNearFloat32OnTheSameWeights) {
  if (!HasBFloat16Products()) {
    GTEST_SKIP() << "this processor has no products of bfloat16 (AVX512_BF16 or AMX)";
  }
  Storage storage = StorageOf(Format::kBFloat16);
  storage.arithmetic = Arithmetic::kBFloat16;
  ExpectNear({storage, 5e-3, 0.06}, GetParam(), LoraLayout(GetParam(), kAllProjections));
  ExpectNear({storage, 5e-3, 0.12}, GetParam(), PromptLayout(GetParam(), 4));
}

// Sequences longer than one tile of attention, windows that begin in one tile and end in the next.
TEST_P(Relatives, TextReadInPiecesHasTheLossesOfScoring) {
  ModelConfig config = GetParam();
  if (config.sliding_window > 0) config.sliding_window = 70;
  const Weights weights = RandomWeights(config, 3);
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const std::vector<float> parameters = RandomParameters<float>(layout, 5);
  Rng rng(1);
  std::vector<int> tokens(110);
  for (int& token : tokens) token = static_cast<int>(rng.Below(31));
  const Sequence sequence{tokens, {{1, 110}}};
  Engine<float> engine(weights, layout, {0, 3, 3, 3}, {.positions = 128});
  const Slot<float> slot{parameters.data(), nullptr};
  const auto scores = engine.Score({&sequence, 1}, {&slot, 1});
  Decoder decoder(weights, layout, parameters, 128);
  for (std::size_t begin = 0, count = 90; begin < 109; begin += count, count = 1) {
    decoder.Read(std::span(tokens).subspan(begin, count));
    for (std::size_t i = 0; i < count && begin + i < 109; ++i) {
      const std::vector<float> logits = decoder.Logits(static_cast<std::int64_t>(i));
      double sum = 0.0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
      const double loss = std::log(sum) - logits[static_cast<std::size_t>(tokens[begin + i + 1])];
      EXPECT_NEAR(scores.losses[begin + i], loss, 1e-4) << begin + i;
    }
  }
}

// What lies before the window reaches nothing, however attention is tiled: three layers see back
// over 3 (window - 1) positions at most.
TEST(Windows, HideWhatLiesBeforeThem) {
  ModelConfig config = testing::MistralConfig();
  config.sliding_window = 10;
  const Weights weights = RandomWeights(config, 3);
  const AdapterLayout layout = LoraLayout(config, {});
  const auto logits_after = [&](int changed) {
    std::vector<int> tokens(100, 7);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int>(i * i % 31);
    tokens[static_cast<std::size_t>(changed)] = 30;
    Decoder decoder(weights, layout, {}, 100);
    decoder.Read(tokens);
    return decoder.Logits(99);
  };
  EXPECT_EQ(logits_after(99 - 28), logits_after(99 - 40));
  EXPECT_NE(logits_after(99 - 27), logits_after(99 - 40));
}

constexpr std::array<const char*, 4> kNames = {"Qwen3", "Mistral", "SmolLm3", "Gemma3"};
INSTANTIATE_TEST_SUITE_P(Of,
                         Relatives,
                         ::testing::ValuesIn(testing::RelativesOfLlama()),
                         [](const auto& test) { return kNames[test.index]; });

}  // namespace
}  // namespace dashf::llama
