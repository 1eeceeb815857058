// Llama's relatives, through the same passes: each part that one has beside Llama's.
#include <gmock/gmock.h>

#include <array>

#include "llama/attention.h"
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
