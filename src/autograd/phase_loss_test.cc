#include "autograd/phase_loss.h"

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>

#include <numeric>

#include "autograd/adapter_tensors.h"
#include "autograd/flat_parameters.h"
#include "autograd/testing.h"

namespace dashf::autograd {
namespace {

using testing::TinyTensors;
using train::AdapterConfig;
using train::AdapterKind;
using train::Phase;
using train::testing::kAllTargets;
using train::testing::RandomAdapter;
using train::testing::RandomExamples;
using train::testing::TinyConfig;

const AdapterConfig kAllLora{.lora = {.rank = 2, .alpha = 3.0, .targets = kAllTargets}};
const AdapterConfig kPrompts{.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 5}};

Batch WholeBatch(const std::vector<corpus::Example>& examples) {
  std::vector<std::size_t> all(examples.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return MakeBatch(examples, all);
}

// Each trained factor's gradient along random directions against (loss(x + h v) - loss(x - h v)) /
// 2h in double. With |v| = 1 and h = 1e-5 the truncation error is about h^2 = 1e-10 and rounding
// about 1e-16 / h = 1e-11. A wrong entry shows in almost every direction.
void ExpectGradientsMatchCentralDifferences(const ModelConfig& config,
                                            const Phase& phase,
                                            const AdapterConfig& adapter = kAllLora) {
  constexpr double kStep = 1e-5;
  const LlamaWeights weights = TinyTensors(config, 3, at::kDouble);
  AdapterTensors tensors = ToTensors(RandomAdapter(config, adapter, 5), config, at::kDouble);
  const auto examples = RandomExamples(config, 4, 7);
  const Batch batch = WholeBatch(examples);
  std::optional<HiddenCache> cache;
  if (phase.cached > 0) cache.emplace(weights, &tensors, examples, phase.cached, 2);
  const auto loss = [&] {
    return PhaseLoss(weights, tensors, phase, cache ? &*cache : nullptr, batch);
  };
  const std::vector<at::Tensor*> trained = TrainedTensors(phase, &tensors);
  const std::size_t per_layer = adapter.kind == AdapterKind::kLora ? 2 * kProjections : 2;
  ASSERT_EQ(trained.size(),
            static_cast<std::size_t>(phase.last_trained - phase.first_trained) * per_layer);
  FlatParameters parameters(trained);
  loss().backward();
  Rng rng(31);
  for (std::size_t i = 0; i < trained.size(); ++i) {
    at::Tensor factor = trained[i]->detach();  // Shares the memory.
    for (int repeat = 0; repeat < 3; ++repeat) {
      at::Tensor direction = at::empty_like(factor);
      for (std::int64_t j = 0; j < direction.numel(); ++j) {
        direction.data_ptr<double>()[j] = rng.Normal();
      }
      direction.div_(direction.norm());
      const at::Tensor kept = factor.clone();
      factor.copy_(kept + kStep * direction);
      const double above = loss().item<double>();
      factor.copy_(kept - kStep * direction);
      const double below = loss().item<double>();
      factor.copy_(kept);
      const double along = (trained[i]->grad() * direction).sum().item<double>();
      EXPECT_NEAR(along, (above - below) / (2.0 * kStep), 1e-8) << "factor " << i;
    }
  }
  EXPECT_GT(parameters.gradient_tensor().abs().max().item<double>(), 1e-3);
}

TEST(PhaseLoss, EarlyExitGradientsMatchCentralDifferences) {
  ExpectGradientsMatchCentralDifferences(TinyConfig(), {0, 2, 2, 0});
}

TEST(PhaseLoss, FullDepthGradientsMatchCentralDifferences) {
  ExpectGradientsMatchCentralDifferences(TinyConfig(), {0, 1, 3, 0});
}

TEST(PhaseLoss, ServerPhaseGradientsMatchCentralDifferences) {
  ExpectGradientsMatchCentralDifferences(TinyConfig(), {1, 3, 3, 1});
}

TEST(PhaseLoss, GradientsMatchWithTiedEmbeddingsBiasesAndStretchedRotary) {
  ModelConfig config = TinyConfig();
  config.tied_embeddings = true;
  config.attention_bias = llama::AttentionBias::kAll;
  config.mlp_bias = true;
  config.rope_llama3 = llama::Llama3Rope{.original_max_position_embeddings = 16.0};
  ExpectGradientsMatchCentralDifferences(config, {0, 3, 3, 0});
}

TEST(PhaseLoss, PromptGradientsMatchCentralDifferencesInEveryPhase) {
  ExpectGradientsMatchCentralDifferences(TinyConfig(), {0, 2, 2, 0}, kPrompts);
  ExpectGradientsMatchCentralDifferences(TinyConfig(), {0, 1, 3, 0}, kPrompts);
  ModelConfig config = TinyConfig();
  config.attention_bias = llama::AttentionBias::kQkv;
  ExpectGradientsMatchCentralDifferences(config, {1, 3, 3, 1}, kPrompts);
}

// The cache holds what the frozen layers would compute again; batches of another shape may round
// differently, hence float32's 1e-6 and not equality.
TEST(PhaseLoss, CachedServerPhaseHasTheGradientsOfTheUncachedOne) {
  const ModelConfig config = TinyConfig();
  const LlamaWeights weights = TinyTensors(config, 11, at::kFloat);
  const AdapterConfig lora_config{
      .lora = {.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj"}}};
  const auto examples = RandomExamples(config, 6, 13);
  const Batch batch = WholeBatch(examples);
  const auto gradients = [&](const Phase& phase) {
    AdapterTensors tensors = ToTensors(RandomAdapter(config, lora_config, 17), config, at::kFloat);
    std::optional<HiddenCache> cache;
    if (phase.cached > 0) cache.emplace(weights, &tensors, examples, phase.cached, 4);
    const std::vector<at::Tensor*> trained = TrainedTensors(phase, &tensors);
    FlatParameters parameters(trained);
    PhaseLoss(weights, tensors, phase, cache ? &*cache : nullptr, batch).backward();
    return parameters.gradient_tensor();
  };
  const at::Tensor cached = gradients({2, 3, 3, 2}), uncached = gradients({2, 3, 3, 0});
  EXPECT_GT(uncached.abs().max().item<double>(), 1e-3);
  EXPECT_LE((cached - uncached).abs().max().item<double>(), 1e-6);
}

// Right padding must reach no row that counts: the batch's loss is the token-weighted mean of the
// examples' own losses.
TEST(PhaseLoss, PaddingChangesNothing) {
  const ModelConfig config = TinyConfig();
  const LlamaWeights weights = TinyTensors(config, 19, at::kDouble);
  const AdapterTensors tensors = ToTensors(
      RandomAdapter(config, {.lora = {.rank = 2, .targets = {"k_proj"}}}, 23), config, at::kDouble);
  const auto examples = RandomExamples(config, 5, 29);
  const Phase phase{0, 3, 3, 0};
  const auto loss_of = [&](const std::vector<corpus::Example>& some) {
    return PhaseLoss(weights, tensors, phase, nullptr, WholeBatch(some)).item<double>();
  };
  double total = 0.0, tokens = 0.0;
  for (const corpus::Example& example : examples) {
    const double answer = example.answer_tokens();
    total += answer * loss_of({example});
    tokens += answer;
  }
  EXPECT_NEAR(loss_of(examples), total / tokens, 1e-12);
}

}  // namespace
}  // namespace dashf::autograd
