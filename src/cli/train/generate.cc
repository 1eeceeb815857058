// dashf generate: greedy text of a model, alone on stdout.
#include "train/generate.h"

#include <fmt/format.h>

#include <optional>

#include "cli/command.h"
#include "cli/verbs.h"
#include "corpus/tokenizer.h"
#include "train/compute.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string model_dir;
  std::string adapter_dir;
  std::string prompt;
  int tokens_max = 256;
  int threads = 1;
};

constexpr const char* kExamples = R"(Examples:
  dashf generate --model share/models/debian-3m --max-tokens 60 --prompt "Package: "
  dashf generate --model stories260K --max-tokens 200
  dashf generate --model BASE --adapter RUN/adapters/u0 --prompt "Hello" --max-tokens 40)";

Expected<int> RunGenerate(const Flags& flags) {
  train::SetThreads(flags.threads);
  const auto model = train::LoadModel(flags.model_dir);
  if (!model) return tl::unexpected(model.error());
  const auto tokenizer = corpus::Tokenizer::Load(flags.model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  std::optional<train::Adapter> adapter;
  if (!flags.adapter_dir.empty()) {
    auto loaded = train::LoadAdapter(flags.adapter_dir, model->config());
    if (!loaded) return tl::unexpected(loaded.error());
    adapter = std::move(*loaded);
  }
  std::vector<int> tokens = tokenizer->Encode(flags.prompt, /*add_bos=*/true);
  const auto generated =
      train::GenerateGreedy(*model, adapter ? &*adapter : nullptr, tokens, flags.tokens_max);
  if (!generated) return tl::unexpected(generated.error());
  tokens.insert(tokens.end(), generated->begin(), generated->end());
  fmt::print("{}\n", tokenizer->Decode(tokens));
  return kExitOk;
}

}  // namespace

void AddGenerate(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* verb = AddEngineVerb(app, "generate");
  verb->add_option("--model", flags->model_dir, "Hugging Face Llama or Qwen2 folder")->required();
  verb->add_option("--max-tokens", flags->tokens_max, "Most tokens to generate")
      ->capture_default_str();
  verb->add_option("--prompt", flags->prompt, "Text to continue; without it, from the beginning");
  verb->add_option("--adapter", flags->adapter_dir, "PEFT adapter folder to apply");
  verb->add_option("--threads", flags->threads, "Threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  verb->footer(kExamples);
  verb->callback([flags, &run] { run = [flags] { return RunGenerate(*flags); }; });
}

}  // namespace dashf::cli
