// The engine against Hugging Face transformers and PEFT: tests/parity/recorded holds tiny random
// models, adapters and what the two compute with them (tests/parity/reference.py says how), in
// float32 as here. --gtest_output=json:FILE has the differences.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/file.h"
#include "tensorfile/safetensors.h"
#include "train/adapter_tensors.h"
#include "train/batch.h"
#include "train/flat_parameters.h"
#include "train/peft_io.h"
#include "train/phase_loss.h"
#include "train/phases.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorView;

constexpr int kSplit = 1;  // As recorded; so are these options.
const TrainOptions kOptions{.epochs = 10,
                            .batch_size = 4,
                            .learning_rate = 1e-2,
                            .weight_decay = 0.1,
                            .gradient_norm_max = 1.0,
                            .on_step = {}};

// The largest difference as a share of the largest number.
double Difference(const at::Tensor& ours, const at::Tensor& theirs) {
  EXPECT_EQ(ours.sizes(), theirs.sizes());
  return (ours - theirs).abs().max().item<double>() / theirs.abs().max().item<double>();
}

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const fs::path folder = fs::path(DASHF_SOURCE_DIR) / "tests/parity/recorded" / GetParam();
    auto model = LoadModel(folder / "model");
    ASSERT_TRUE(model) << model.error().Text();
    model_.emplace(std::move(*model));
    auto adapter = LoadAdapter(folder / "adapter", model_->config());
    ASSERT_TRUE(adapter) << adapter.error().Text();
    adapter_ = std::move(*adapter);
    auto numbers = SafetensorsFile::Open((folder / "numbers.safetensors").string());
    ASSERT_TRUE(numbers) << numbers.error().Text();
    numbers_.emplace(std::move(*numbers));
    for (std::int64_t row = 0; row < Recorded("tokens").size(0); ++row) {
      std::vector<int> ids;
      const at::Tensor tokens = Recorded("tokens")[row];
      for (std::int64_t t = 0; t < Recorded("lengths")[row].item<std::int64_t>(); ++t) {
        ids.push_back(static_cast<int>(tokens[t].item<std::int64_t>()));
      }
      const auto answer_begin = Recorded("answer_begin")[row].item<std::int64_t>();
      examples_.emplace_back(std::move(ids), static_cast<int>(answer_begin));
    }
  }

  at::Tensor Recorded(const std::string& name) const {
    const TensorView& view = numbers_->tensors().at(name);
    at::Tensor tensor = at::empty(view.shape, view.dtype == DType::kI64 ? at::kLong : at::kFloat);
    std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
    return tensor;
  }

  Batch WholeBatch() const { return MakeBatch(examples_, std::vector<std::size_t>{0, 1, 2, 3}); }

  // The largest difference of logits at positions that are not padding.
  double LogitDifference(const AdapterTensors* tensors, const std::string& recorded) const {
    const LlamaWeights& weights = model_->weights();
    const Batch batch = WholeBatch();
    const at::Tensor hidden = ForwardLayers(
        weights, tensors, Embed(weights, batch.tokens), batch.shape, 0, weights.config.layers);
    const at::Tensor logits =
        at::mm(RmsNorm(hidden, weights.final_norm, weights.config.rms_norm_eps), weights.head.t())
            .view(Recorded(recorded).sizes());
    double difference = 0.0;
    for (std::int64_t row = 0; row < logits.size(0); ++row) {
      const auto length = std::ssize(examples_[static_cast<std::size_t>(row)].tokens);
      difference = std::max(difference,
                            Difference(logits[row].narrow(0, 0, length),
                                       Recorded(recorded)[row].narrow(0, 0, length)));
    }
    return difference;
  }

  using Training = std::function<Expected<PhaseReport>(Adapter*)>;
  void ExpectLosses(const std::string& recorded, const Training& training) const {
    Adapter trained = adapter_;
    const auto report = training(&trained);
    ASSERT_TRUE(report) << report.error().Text();
    const at::Tensor losses = Recorded(recorded);
    double largest = 0.0;
    ASSERT_EQ(std::ssize(report->losses), losses.numel());
    for (std::size_t i = 0; i < report->losses.size(); ++i) {
      const double theirs = losses[static_cast<std::int64_t>(i)].item<double>();
      const double difference = std::abs(report->losses[i] - theirs) / theirs;
      EXPECT_LE(difference, 1e-4) << recorded << ", step " << i + 1;
      largest = std::max(largest, difference);
    }
    RecordProperty(recorded, fmt::format("{:.1e}", largest));
  }

  std::optional<Model> model_;
  Adapter adapter_;
  std::optional<SafetensorsFile> numbers_;
  std::vector<corpus::Example> examples_;
};

TEST_P(Parity, LogitsOfTheModelAreTransformers) {
  const double difference = LogitDifference(nullptr, "base_logits");
  EXPECT_LE(difference, 1e-5);
  RecordProperty("logits", fmt::format("{:.1e}", difference));
}

TEST_P(Parity, LogitsWithTheAdapterArePefts) {
  const AdapterTensors tensors = ToTensors(adapter_, model_->config(), at::kFloat);
  const double difference = LogitDifference(&tensors, "logits");
  EXPECT_LE(difference, 1e-5);
  RecordProperty("logits_with_adapter", fmt::format("{:.1e}", difference));
  EXPECT_GT(LogitDifference(&tensors, "base_logits"), 1e-2);  // The adapter does something.
}

TEST_P(Parity, EveryGradientIsPefts) {
  const int layers = model_->config().layers;
  AdapterTensors tensors = ToTensors(adapter_, model_->config(), at::kFloat);
  const Phase phase{0, layers, layers, 0};
  const std::vector<at::Tensor*> trained = TrainedTensors(phase, &tensors);
  const FlatParameters parameters(trained);
  const at::Tensor loss = PhaseLoss(model_->weights(), tensors, phase, nullptr, WholeBatch());
  loss.backward();
  EXPECT_LE(Difference(loss.detach().view({1}), Recorded("loss")), 1e-5);
  std::size_t compared = 0;
  double largest = 0.0;
  for (int layer = 0; layer < layers; ++layer) {
    for (std::size_t p = 0; p < kProjections; ++p) {
      const LoraFactors& factors = tensors[static_cast<std::size_t>(layer)].lora[p];
      const std::string key = "gradient.base_model.model." +
                              ModuleName(layer, std::string(kProjectionNames[p])) + ".lora_";
      if (!numbers_->tensors().contains(key + "A.weight")) continue;
      const double a = Difference(factors.a.grad(), Recorded(key + "A.weight"));
      const double b = Difference(factors.b.grad(), Recorded(key + "B.weight"));
      EXPECT_LE(std::max(a, b), 1e-4) << key;
      largest = std::max({largest, a, b});
      compared += 2;
    }
    const std::string key =
        fmt::format("gradient.base_model.model.model.layers.{}.self_attn.adaption_", layer);
    if (!numbers_->tensors().contains(key + "gate")) continue;
    const auto& [prompt, gate] = tensors[static_cast<std::size_t>(layer)].prompt;
    const double p = Difference(prompt.grad().unsqueeze(0), Recorded(key + "prompt"));
    const double g = Difference(gate.grad(), Recorded(key + "gate"));
    EXPECT_LE(std::max(p, g), 1e-4) << key;
    largest = std::max({largest, p, g});
    compared += 2;
  }
  const auto recorded =
      std::count_if(numbers_->tensors().begin(), numbers_->tensors().end(), [](const auto& item) {
        return item.first.starts_with("gradient.");
      });
  EXPECT_EQ(compared, static_cast<std::size_t>(recorded));
  RecordProperty("gradients", fmt::format("{:.1e}", largest));
}

TEST_P(Parity, TenTrainingLossesOfEveryPhaseArePefts) {
  ExpectLosses("losses.all_layers", [&](Adapter* adapter) {
    return TrainAllLayers(*model_, examples_, kOptions, adapter);
  });
  ExpectLosses("losses.user_full_depth", [&](Adapter* adapter) {
    return TrainUserPhase(*model_, examples_, kSplit, UserObjective::kFullDepth, kOptions, adapter);
  });
  ExpectLosses("losses.user_early_exit", [&](Adapter* adapter) {
    return TrainUserPhase(*model_, examples_, kSplit, UserObjective::kEarlyExit, kOptions, adapter);
  });
  ExpectLosses("losses.server", [&](Adapter* adapter) {
    return TrainServerPhase(*model_, examples_, kSplit, kOptions, adapter);
  });
}

// Whatever PEFT wrote and we read comes out as PEFT wrote it, bit for bit; modules that it leaves
// out are zero.
TEST_P(Parity, AdapterIsWrittenAsPeftWroteIt) {
  const fs::path written = fs::path(::testing::TempDir()) / ("parity_" + GetParam());
  ASSERT_TRUE(SaveAdapter(adapter_, model_->config(), "base", written));
  const auto ours = SafetensorsFile::Open((written / "adapter_model.safetensors").string());
  const auto theirs = SafetensorsFile::Open(DASHF_SOURCE_DIR "/tests/parity/recorded/" +
                                            GetParam() + "/adapter/adapter_model.safetensors");
  ASSERT_TRUE(ours && theirs);
  for (const auto& [name, view] : theirs->tensors()) {
    ASSERT_TRUE(ours->tensors().contains(name)) << name;
    EXPECT_EQ(ours->tensors().at(name).shape, view.shape) << name;
    EXPECT_EQ(ours->tensors().at(name).bytes, view.bytes) << name;
  }
  for (const auto& [name, view] : ours->tensors()) {
    if (theirs->tensors().contains(name)) continue;
    EXPECT_EQ(view.bytes.find_first_not_of('\0'), std::string_view::npos) << name;
  }
  const auto again = LoadAdapter(written, model_->config());
  ASSERT_TRUE(again) << again.error().Text();
  EXPECT_EQ(*again, adapter_);
}

INSTANTIATE_TEST_SUITE_P(Recorded,
                         Parity,
                         ::testing::Values("llama_plain",
                                           "llama_grouped_queries_shards",
                                           "llama3_rope_rslora",
                                           "llama_bias_patterns",
                                           "qwen2_some_layers",
                                           "llama_prompts",
                                           "llama_prompts_last_layers"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace dashf::train
