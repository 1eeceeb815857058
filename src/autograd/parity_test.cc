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

#include "autograd/phase_gradient.h"
#include "base/file.h"
#include "llama/decoder.h"
#include "tensorfile/safetensors.h"
#include "train/adapter_layout.h"
#include "train/evaluate.h"
#include "train/peft_io.h"
#include "train/phases.h"
#include "train/trained_parameters.h"

namespace dashf::autograd {
namespace {

namespace fs = std::filesystem;
using llama::kProjectionNames;
using llama::kProjections;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorView;
using train::Adapter;
using train::AllParameters;
using train::Evaluate;
using train::LayoutOf;
using train::LoadAdapter;
using train::LoadModel;
using train::MakePhaseGradient;
using train::Model;
using train::ModuleName;
using train::NativePhaseGradient;
using train::PhaseReport;
using train::SaveAdapter;
using train::TrainAllLayers;
using train::TrainedParameters;
using train::TrainOptions;
using train::TrainServerPhase;
using train::TrainUserPhase;
using train::UserObjective;

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

  // The largest difference of logits at positions that are not padding.
  double LogitDifference(const Adapter* adapter, const std::string& recorded) const {
    const llama::AdapterLayout layout = LayoutOf(adapter, model_->config());
    const std::vector<float> parameters = AllParameters(adapter);
    double difference = 0.0;
    for (std::size_t row = 0; row < examples_.size(); ++row) {
      const std::vector<int>& tokens = examples_[row].tokens;
      const auto length = std::ssize(tokens);
      llama::Decoder decoder(model_->weights(), layout, parameters, length);
      const std::int64_t half = length / 2;  // In two pieces, as a generation would.
      at::Tensor logits = at::empty({length, model_->config().vocab_size});
      for (const auto& [begin, end] : {std::pair{std::int64_t{0}, half}, std::pair{half, length}}) {
        decoder.Read({tokens.begin() + begin, tokens.begin() + end});
        for (std::int64_t t = begin; t < end; ++t) {
          const std::vector<float> next = decoder.Logits(t - begin);
          std::copy(next.begin(), next.end(), logits[t].data_ptr<float>());
        }
      }
      difference = std::max(
          difference,
          Difference(logits,
                     Recorded(recorded)[static_cast<std::int64_t>(row)].narrow(0, 0, length)));
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

// Training and evaluation show no logits: they are held to the logarithm of the probability that
// these give to each token of the text.
TEST_P(Parity, LogProbabilitiesOfTheEngineArePefts) {
  for (const bool adapted : {false, true}) {
    const Adapter* const adapter = adapted ? &adapter_ : nullptr;
    const at::Tensor log_p =
        Recorded(adapted ? "logits" : "base_logits").to(at::kDouble).log_softmax(2);
    double largest = 0.0;
    for (std::size_t row = 0; row < examples_.size(); ++row) {
      const std::vector<int>& tokens = examples_[row].tokens;
      for (std::size_t length = 2; length <= tokens.size(); ++length) {
        // Only the last token is an answer: its loss alone.
        const corpus::Example example{{tokens.begin(), tokens.begin() + static_cast<long>(length)},
                                      static_cast<int>(length) - 1};
        const auto evaluation = Evaluate(*model_, adapter, {example});
        ASSERT_TRUE(evaluation) << evaluation.error().Text();
        const double theirs = -log_p[static_cast<std::int64_t>(row)]
                                    [static_cast<std::int64_t>(length) - 2][tokens[length - 1]]
                                        .item<double>();
        largest = std::max(largest, std::abs(evaluation->loss / theirs - 1.0));
      }
    }
    EXPECT_LE(largest, 1e-5);
    RecordProperty(adapted ? "log_p_with_adapter" : "log_p", fmt::format("{:.1e}", largest));
  }
}

TEST_P(Parity, LogitsWithTheAdapterArePefts) {
  const double difference = LogitDifference(&adapter_, "logits");
  EXPECT_LE(difference, 1e-5);
  RecordProperty("logits_with_adapter", fmt::format("{:.1e}", difference));
  EXPECT_GT(LogitDifference(&adapter_, "base_logits"), 1e-2);  // The adapter does something.
}

// Of both implementations.
TEST_P(Parity, EveryGradientIsPefts) {
  const std::pair<MakePhaseGradient*, const char*> implementations[] = {
      {NativePhaseGradient, "gradients"}, {AutogradPhaseGradient, "gradients_libtorch"}};
  for (const auto& [make, property] : implementations) {
    const int layers = model_->config().layers;
    const std::vector<float> parameters = TrainedParameters(adapter_, 0, layers);
    std::vector<float> gradient(parameters.size());
    const double loss = make(*model_, examples_, {0, layers, layers, 0}, adapter_, 4, false)
                            ->Compute(std::vector<std::size_t>{0, 1, 2, 3}, parameters, gradient);
    EXPECT_LE(std::abs(loss / Recorded("loss").item<double>() - 1.0), 1e-5);
    const llama::AdapterLayout layout = LayoutOf(&adapter_, model_->config());
    std::size_t compared = 0;
    double largest = 0.0;
    const auto compare = [&](const std::string& name, std::int64_t begin) {
      if (!numbers_->tensors().contains("gradient.base_model.model." + name)) return;
      const at::Tensor theirs = Recorded("gradient.base_model.model." + name);
      const at::Tensor ours = at::from_blob(gradient.data() + begin, theirs.sizes(), at::kFloat);
      const double difference = Difference(ours, theirs);
      EXPECT_LE(difference, 1e-4) << property << " " << name;
      largest = std::max(largest, difference);
      ++compared;
    };
    for (int layer = 0; layer < layers; ++layer) {
      const llama::LayerPlaces& places = layout.layers[static_cast<std::size_t>(layer)];
      for (std::size_t p = 0; p < kProjections; ++p) {
        const std::string module = ModuleName(layer, std::string(kProjectionNames[p]));
        compare(module + ".lora_A.weight", places.lora[p].a);
        compare(module + ".lora_B.weight", places.lora[p].b);
      }
      const std::string prompt = fmt::format("model.layers.{}.self_attn.adaption_", layer);
      compare(prompt + "prompt", places.prompt.prompt);
      compare(prompt + "gate", places.prompt.gate);
    }
    const auto recorded =
        std::count_if(numbers_->tensors().begin(), numbers_->tensors().end(), [](const auto& item) {
          return item.first.starts_with("gradient.");
        });
    EXPECT_EQ(compared, static_cast<std::size_t>(recorded));
    RecordProperty(property, fmt::format("{:.1e}", largest));
  }
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
                                           "llama_prompts_last_layers",
                                           "qwen3_window",
                                           "mistral_window",
                                           "mistral_prompts",
                                           "smollm3_no_rope",
                                           "gemma3_local_global"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace dashf::autograd
