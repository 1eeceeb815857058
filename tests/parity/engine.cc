// The engine's side of live_test.py:
//   dashf_parity logits MODEL TOKENS OUT [ADAPTER]   logits of the tokens ("tokens", I64 [R, T])
//   dashf_parity train MODEL TOKENS ADAPTER KIND     trains an adapter (lora, prompt) and saves it
#include <ATen/Functions.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "tensorfile/safetensors.h"
#include "train/adapter_tensors.h"
#include "train/peft_io.h"
#include "train/phases.h"

namespace dashf::train {
namespace {

using Arguments = std::span<const std::string>;

Expected<at::Tensor> ReadTokens(const std::string& path) {
  const auto file = tensorfile::SafetensorsFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  const tensorfile::TensorView& view = file->tensors().at("tokens");
  at::Tensor tokens = at::empty(view.shape, at::kLong);
  std::memcpy(tokens.data_ptr(), view.bytes.data(), view.bytes.size());
  return tokens;
}

Expected<void> WriteLogits(const Model& model, const at::Tensor& tokens, Arguments rest) {
  const LlamaWeights& weights = model.weights();
  std::optional<AdapterTensors> lora;
  if (rest.size() > 1) {
    const auto adapter = LoadAdapter(rest[1], model.config());
    if (!adapter) return tl::unexpected(adapter.error());
    lora = ToTensors(*adapter, model.config(), at::kFloat);
  }
  const at::Tensor hidden = ForwardLayers(weights,
                                          lora ? &*lora : nullptr,
                                          Embed(weights, tokens.flatten()),
                                          {tokens.size(0), tokens.size(1)},
                                          0,
                                          weights.config.layers);
  const at::Tensor logits =
      at::mm(RmsNorm(hidden, weights.final_norm, weights.config.rms_norm_eps), weights.head.t());
  const tensorfile::TensorView view = {
      tensorfile::DType::kF32,
      {tokens.size(0), tokens.size(1), logits.size(1)},
      {static_cast<const char*>(logits.data_ptr()), logits.nbytes()}};
  return WriteFileAtomically(rest[0], tensorfile::WriteSafetensors({{"logits", view}}));
}

AdapterConfig ConfigOf(const std::string& kind) {
  if (kind == "prompt") return {.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 6}};
  LoraConfig lora{.rank = 3, .alpha = 6.0, .targets = {"q_proj", "v_proj", "o_proj", "down_proj"}};
  lora.rank_pattern = {{"layers.0.self_attn.q_proj", 5}};
  lora.alpha_pattern = {{"down_proj", 2.0}};
  return {.lora = lora};
}

Expected<void> TrainAdapter(const Model& model, const at::Tensor& tokens, Arguments rest) {
  auto adapter = InitialAdapter(model.config(), ConfigOf(rest[1]), 7);
  if (!adapter) return tl::unexpected(adapter.error());
  std::vector<corpus::Example> examples;
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    const std::int64_t* token = tokens.data_ptr<std::int64_t>() + row * tokens.size(1);
    examples.push_back({{token, token + tokens.size(1)}, 1});
  }
  const TrainOptions options{.epochs = 5, .learning_rate = 1e-2, .on_step = {}};
  const auto report = TrainAllLayers(model, examples, options, &*adapter);
  if (!report) return tl::unexpected(report.error());
  return SaveAdapter(*adapter, model.config(), "base", rest[0]);
}

Expected<void> Main(Arguments arguments) {
  const auto model = LoadModel(arguments[1]);
  if (!model) return tl::unexpected(model.error());
  const auto tokens = ReadTokens(arguments[2]);
  if (!tokens) return tl::unexpected(tokens.error());
  const auto run = arguments[0] == "train" ? TrainAdapter : WriteLogits;
  return run(*model, *tokens, arguments.subspan(3));
}

}  // namespace
}  // namespace dashf::train

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 4) return 2;
  const auto done = dashf::train::Main(arguments);
  if (!done) fmt::print(stderr, "{}\n", done.error().Text());
  return done ? 0 : 1;
}
