// The engine's side of live_test.py:
//   dashf_parity logits MODEL TOKENS OUT [ADAPTER]   logits of the tokens ("tokens", I64 [R, T])
//   dashf_parity train MODEL TOKENS ADAPTER KIND     trains an adapter (lora, prompt) and saves it
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "llama/decoder.h"
#include "tensorfile/safetensors.h"
#include "train/adapter_layout.h"
#include "train/peft_io.h"
#include "train/phases.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using Arguments = std::span<const std::string>;

// Rows of equally many tokens.
Expected<std::vector<std::vector<int>>> ReadTokens(const std::string& path) {
  const auto file = tensorfile::SafetensorsFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  const tensorfile::TensorView& view = file->tensors().at("tokens");
  std::vector<std::int64_t> tokens(view.bytes.size() / sizeof(std::int64_t));
  std::memcpy(tokens.data(), view.bytes.data(), view.bytes.size());
  std::vector<std::vector<int>> rows;
  for (auto at = tokens.begin(); at != tokens.end(); at += view.shape[1]) {
    rows.emplace_back(at, at + view.shape[1]);
  }
  return rows;
}

Expected<void> WriteLogits(const Model& model,
                           const std::vector<std::vector<int>>& tokens,
                           Arguments rest) {
  std::optional<Adapter> adapter;
  if (rest.size() > 1) {
    auto loaded = LoadAdapter(rest[1], model.config());
    if (!loaded) return tl::unexpected(loaded.error());
    adapter = std::move(*loaded);
  }
  const Adapter* const used = adapter ? &*adapter : nullptr;
  const llama::AdapterLayout layout = LayoutOf(used, model.config());
  const std::vector<float> parameters = AllParameters(used);
  std::vector<float> logits;
  for (const std::vector<int>& row : tokens) {
    llama::Decoder decoder(model.weights(), layout, parameters, std::ssize(row));
    decoder.Read(row);
    for (std::int64_t t = 0; t < std::ssize(row); ++t) {
      const std::vector<float> next = decoder.Logits(t);
      logits.insert(logits.end(), next.begin(), next.end());
    }
  }
  const tensorfile::TensorView view = {
      tensorfile::DType::kF32,
      {std::ssize(tokens), std::ssize(tokens.front()), model.config().vocab_size},
      {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)}};
  return WriteFileAtomically(rest[0], tensorfile::WriteSafetensors({{"logits", view}}));
}

AdapterConfig ConfigOf(const std::string& kind) {
  if (kind == "prompt") return {.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 6}};
  LoraConfig lora{.rank = 3, .alpha = 6.0, .targets = {"q_proj", "v_proj", "o_proj", "down_proj"}};
  lora.rank_pattern = {{"layers.0.self_attn.q_proj", 5}};
  lora.alpha_pattern = {{"down_proj", 2.0}};
  return {.lora = lora};
}

Expected<void> TrainAdapter(const Model& model,
                            const std::vector<std::vector<int>>& tokens,
                            Arguments rest) {
  auto adapter = InitialAdapter(model.config(), ConfigOf(rest[1]), 7);
  if (!adapter) return tl::unexpected(adapter.error());
  std::vector<corpus::Example> examples;
  for (const std::vector<int>& row : tokens) examples.push_back({row, 1});
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
