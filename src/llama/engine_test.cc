#include "llama/engine.h"

#include <gmock/gmock.h>

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
using testing::TinyConfig;

TEST(Gradients, OfEveryLayerMatchCentralDifferences) {
  const ModelConfig config = TinyConfig();
  ExpectGradientsMatchCentralDifferences(config, LoraLayout(config, kAllProjections), {0, 0, 3, 3});
}

TEST(Gradients, OfAnEarlyExitMatchCentralDifferences) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  ExpectGradientsMatchCentralDifferences(config, layout, {0, 0, 1, 1});
  ExpectGradientsMatchCentralDifferences(config, layout, {0, 0, 2, 2});
}

TEST(Gradients, BelowFrozenLayersMatchCentralDifferences) {
  const ModelConfig config = TinyConfig();
  ExpectGradientsMatchCentralDifferences(config, LoraLayout(config, kAllProjections), {0, 0, 1, 3});
}

TEST(Gradients, AboveFrozenLayersMatchCentralDifferences) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  ExpectGradientsMatchCentralDifferences(config, layout, {0, 1, 3, 3});
  ExpectGradientsMatchCentralDifferences(config, layout, {1, 1, 3, 3});
  ExpectGradientsMatchCentralDifferences(config, layout, {2, 2, 3, 3}, Keep::kInputs);
}

TEST(Gradients, OfSingleProjectionsMatchCentralDifferences) {
  const ModelConfig config = TinyConfig();
  for (std::size_t p = 0; p < kProjections; ++p) {
    std::vector<int> ranks(kProjections, 0);
    ranks[p] = 2;
    SCOPED_TRACE(kProjectionNames[p]);
    ExpectGradientsMatchCentralDifferences(config, LoraLayout(config, ranks), {0, 0, 3, 3});
  }
}

TEST(Gradients, WithBiasesTiedHeadAndLlama3RotaryMatchCentralDifferences) {
  ModelConfig config = TinyConfig();
  config.attention_bias = AttentionBias::kAll;
  config.mlp_bias = true;
  config.tied_embeddings = true;
  config.rope_llama3 = Llama3Rope{.original_max_position_embeddings = 16.0};
  ExpectGradientsMatchCentralDifferences(config, LoraLayout(config, kAllProjections), {0, 0, 3, 3});
}

TEST(Gradients, OfPromptsMatchCentralDifferences) {
  ModelConfig config = TinyConfig();
  config.attention_bias = AttentionBias::kQkv;
  ExpectGradientsMatchCentralDifferences(config, PromptLayout(config, 5), {0, 0, 3, 3});
  ExpectGradientsMatchCentralDifferences(config, PromptLayout(config, 5), {0, 0, 1, 3});
}

// Phases of 4 layers: all trained, the first two with the loss above all or above them, the last
// two from the embeddings or from hidden states.
constexpr LayerRange kPhases[] = {
    {0, 0, 4, 4}, {0, 0, 2, 4}, {0, 0, 2, 2}, {0, 2, 4, 4}, {2, 2, 4, 4}};

ModelConfig FourLayers() {
  ModelConfig config = TinyConfig();
  config.layers = 4;
  return config;
}

TEST(Gradients, AreTheSameBitsWhenLayersAreComputedAgain) {
  const ModelConfig config = FourLayers();
  const Weights weights = RandomWeights(config, 3);
  const RandomBatch batch(config, 6, 1, 7);
  for (const AdapterLayout& layout :
       {LoraLayout(config, kAllProjections), PromptLayout(config, 5)}) {
    const std::vector<std::vector<float>> parameters = {RandomParameters<float>(layout, 5)};
    for (const LayerRange& range : kPhases) {
      const auto hidden =
          HiddenBelow<float>(weights, layout, range.begin, batch.sequences, parameters[0]);
      const auto run = [&](Keep keep, int threads) {
        Engine<float> engine(
            weights, layout, range, {.keep = keep, .threads = threads, .positions = 128});
        engine.SetEntrance(From(hidden));
        return OneStep<float>(&engine, batch.sequences, parameters);
      };
      for (const int threads : {1, 2}) {
        EXPECT_EQ(run(Keep::kAll, threads), run(Keep::kInputs, threads))
            << range.first_trained << ".." << range.last_trained << " of " << range.end;
      }
    }
  }
}

// Of the layers from the first trained one to the last but one, which keeps its loss rows alone
// anyway, one state stays: also for those below the first trained, which share one in either case.
TEST(Memory, OfLayersComputedAgainIsLessByTheStatesThatAreNotKept) {
  const ModelConfig config = FourLayers();
  const Weights weights = RandomWeights(config, 3);
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const RandomBatch batch(config, 6, 1, 7);
  const std::int64_t rows = SizeOf(Pack(batch.sequences, 1)).rows;
  const auto bytes = [&](const std::vector<std::int64_t>& pieces) {
    std::int64_t sum = 0;
    for (const std::int64_t elements : pieces) sum += (elements * 4 + 63) / 64 * 64;
    return sum;
  };
  const std::int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  const std::int64_t state = bytes({rows,
                                    rows * (q + 2 * kv),
                                    rows * config.heads,
                                    rows * q,
                                    rows * config.hidden_size,
                                    rows,
                                    rows * 2 * config.intermediate_size});
  const std::int64_t states_less[] = {2, 2, 0, 1, 0};
  for (std::size_t i = 0; i < std::size(kPhases); ++i) {
    const LayerRange& range = kPhases[i];
    const std::vector<std::vector<float>> parameters = {RandomParameters<float>(layout, 5)};
    const auto hidden =
        HiddenBelow<float>(weights, layout, range.begin, batch.sequences, parameters[0]);
    const auto measure = [&](Keep keep) {
      Engine<float> engine(weights, layout, range, {.keep = keep, .positions = 128});
      engine.SetEntrance(From(hidden));
      OneStep<float>(&engine, batch.sequences, parameters);
      return static_cast<std::int64_t>(engine.WorkspaceBytes());
    };
    EXPECT_EQ(measure(Keep::kAll) - measure(Keep::kInputs), states_less[i] * state) << i;
  }
}

// In double precision: which of its kernels a product takes, and how it rounds, may depend on the
// rows.
TEST(Gradients, OfUsersInOneBatchAreThoseOfEachAlone) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const Weights weights = RandomWeights(config, 3);
  constexpr int kSlots = 3;
  const RandomBatch batch(config, 7, kSlots, 7);
  std::vector<std::vector<double>> parameters;
  for (std::uint64_t s = 0; s < kSlots; ++s) {
    parameters.push_back(RandomParameters<double>(layout, 5 + s));
  }
  Engine<double> engine(weights, layout, {0, 0, 3, 3}, {.positions = 128});
  const Outcome<double> together = OneStep(&engine, batch.sequences, parameters);
  for (std::size_t s = 0; s < kSlots; ++s) {
    std::vector<Sequence> own;
    for (Sequence sequence : batch.sequences) {
      if (sequence.slot != static_cast<int>(s)) continue;
      sequence.slot = 0;
      own.push_back(sequence);
    }
    const Outcome<double> alone = OneStep<double>(&engine, own, {parameters[s]});
    EXPECT_NEAR(together.losses[s], alone.losses[0], 1e-12);
    for (std::size_t i = 0; i < alone.gradients[0].size(); ++i) {
      ASSERT_NEAR(together.gradients[s][i], alone.gradients[0][i], 1e-12) << "slot " << s;
    }
  }
}

// Users 0, 1 and 2 leave layers 0, 1 and 2 to their devices.
TEST(Gradients, OfUsersThatEnterAtDifferentLayersAreThoseOfEachAlone) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const Weights weights = RandomWeights(config, 3);
  RandomBatch batch(config, 9, 3, 7);
  std::vector<std::vector<double>> parameters;
  for (std::uint64_t s = 0; s < 3; ++s) {
    parameters.push_back(RandomParameters<double>(layout, 5 + s));
  }
  std::vector<Sequence> together_sequences;
  Hidden<double> hidden(batch.sequences.size());
  std::vector<Outcome<double>> alone;
  for (int s = 0; s < 3; ++s) {
    std::vector<Sequence> own;
    for (Sequence sequence : batch.sequences) {
      if (sequence.slot != s) continue;
      sequence.skipped = s;
      together_sequences.push_back(sequence);
      sequence.slot = sequence.skipped = 0;
      sequence.key = std::ssize(own);
      own.push_back(sequence);
    }
    ASSERT_FALSE(own.empty());
    const auto user = static_cast<std::size_t>(s);
    const Hidden<double> below = HiddenBelow(weights, layout, s, own, parameters[user]);
    Engine<double> engine(weights, layout, {s, s, 3, 3}, {.positions = 128});
    engine.SetEntrance(From(below));
    alone.push_back(OneStep<double>(&engine, own, {parameters[user]}));
    std::size_t next = 0;
    for (const Sequence& sequence : batch.sequences) {
      if (sequence.slot == s) hidden[static_cast<std::size_t>(sequence.key)] = below[next++];
    }
  }
  for (const Keep keep : {Keep::kAll, Keep::kInputs}) {
    for (const int threads : {1, 3}) {
      Engine<double> engine(
          weights, layout, {0, 0, 3, 3}, {.keep = keep, .threads = threads, .positions = 128});
      engine.SetEntrance(From(hidden));
      const Outcome<double> together = OneStep(&engine, together_sequences, parameters);
      for (std::size_t s = 0; s < 3; ++s) {
        EXPECT_NEAR(together.losses[s], alone[s].losses[0], 1e-12);
        const auto begin = static_cast<std::size_t>(layout.layers[s].begin);
        for (std::size_t i = begin; i < alone[s].gradients[0].size(); ++i) {
          ASSERT_NEAR(together.gradients[s][i], alone[s].gradients[0][i], 1e-12) << "user " << s;
        }
        for (std::size_t i = 0; i < begin; ++i) ASSERT_EQ(together.gradients[s][i], 0.0);
      }
    }
  }
}

TEST(Gradients, AreTheSameBitsTwiceAndNearlyThoseOfOneThread) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const Weights weights = RandomWeights(config, 3);
  const RandomBatch batch(config, 9, 1, 7);
  const auto run = [&](int threads) {
    Engine<float> engine(weights, layout, {0, 0, 3, 3}, {.threads = threads, .positions = 128});
    return OneStep<float>(&engine, batch.sequences, {RandomParameters<float>(layout, 5)});
  };
  const Outcome<float> one = run(1), three = run(3);
  EXPECT_EQ(three, run(3));
  EXPECT_NEAR(one.losses[0], three.losses[0], 1e-5);
  for (std::size_t i = 0; i < one.gradients[0].size(); ++i) {
    ASSERT_NEAR(one.gradients[0][i], three.gradients[0][i], 1e-5);
  }
}

// Sequences longer than one tile of attention, whose hidden states come from a cache or not.
TEST(Gradients, FromHiddenStatesAreThoseFromTokens) {
  ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const Weights weights = RandomWeights(config, 3);
  Rng rng(1);
  std::vector<std::vector<int>> tokens = {std::vector<int>(100), std::vector<int>(67)};
  std::vector<Sequence> sequences;
  for (auto& own : tokens) {
    for (int& token : own) token = static_cast<int>(rng.Below(31));
    sequences.push_back({own, {{30, static_cast<int>(own.size())}}, 0, std::ssize(sequences)});
  }
  const std::vector<std::vector<float>> parameters = {RandomParameters<float>(layout, 5)};
  const Hidden<float> hidden = HiddenBelow(weights, layout, 2, sequences, parameters[0]);
  Engine<float> cached(weights, layout, {2, 2, 3, 3}, {.positions = 128});
  cached.SetEntrance(From(hidden));
  Engine<float> whole(weights, layout, {0, 2, 3, 3}, {.positions = 128});
  EXPECT_EQ(OneStep(&cached, sequences, parameters), OneStep(&whole, sequences, parameters));
}

TEST(Scores, AreTheLossesOfTraining) {
  const ModelConfig config = TinyConfig();
  const AdapterLayout layout = LoraLayout(config, kAllProjections);
  const Weights weights = RandomWeights(config, 3);
  const RandomBatch batch(config, 5, 1, 7);
  const std::vector<std::vector<float>> parameters = {RandomParameters<float>(layout, 5)};
  Engine<float> training(weights, layout, {0, 0, 3, 3}, {.positions = 128});
  Engine<float> scoring(weights, layout, {0, 3, 3, 3}, {.threads = 2, .positions = 128});
  const Slot<float> slot{parameters[0].data(), nullptr};
  const auto scores = scoring.Score(batch.sequences, {&slot, 1});
  double sum = 0.0;
  for (const double loss : scores.losses) sum += loss;
  EXPECT_NEAR(sum / static_cast<double>(scores.losses.size()),
              OneStep(&training, batch.sequences, parameters).losses[0],
              1e-5);
}

}  // namespace
}  // namespace dashf::llama
