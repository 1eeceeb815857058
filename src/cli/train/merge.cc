// dashf merge: a base with its adapter as one model folder.
#include "train/merge.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/json.h"
#include "cli/command.h"
#include "cli/train/out_place.h"
#include "cli/verbs.h"
#include "gguf/model_folder.h"
#include "train/compute.h"
#include "train/model_files.h"
#include "train/model_folder.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string model_dir;
  std::string adapter_dir;
  std::string out_dir;
  std::string precision = "float32";
  int threads = 1;
};

constexpr const char* kExamples =
    R"(Writes OUT as a model folder of its own, W + s B A for each weight with LoRA, with the base's tokenizer, templates and
configuration.
Of a GGUF base the tokenizer's files are made from its metadata, and quantised weights are written decoded.
bfloat16 halves the file and rounds each weight to 8 bits, which also rounds away part of a small adapter.

Examples:
  dashf merge --model BASE --adapter RUN/adapters/u0 --out merged
  dashf merge --model BASE.gguf --out base       # a GGUF file as a folder for transformers and PEFT
  dashf generate --model merged --prompt "Hello")";

// What a folder has beside config.json and weights.
constexpr const char* kCopied[] = {"tokenizer.model",
                                   "tokenizer.json",
                                   "tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "added_tokens.json",
                                   "vocab.json",
                                   "merges.txt",
                                   "chat_template.jinja",
                                   "chat_template.json",
                                   "generation_config.json"};

// The base's config.json with all that it says, ids for instance, but for what merging changes: the
// type of the weights, and the head's own if the base has one.
Expected<std::string> ConfigOf(const gguf::ModelFolder& base,
                               const train::Model& merged,
                               const std::string& precision) {
  const auto text = base.Read("config.json");
  if (!text) return tl::unexpected(text.error());
  const auto document = JsonDocument::Parse(base.Place("config.json"), *text);
  if (!document) return tl::unexpected(document.error());
  nlohmann::ordered_json config = document->Root().RawInOrder();
  const bool newer = config.contains("dtype") && !config.contains("torch_dtype");
  config[newer ? "dtype" : "torch_dtype"] = precision;
  config["tie_word_embeddings"] = merged.config().tied_embeddings;
  return config.dump(2) + "\n";
}

// By name, all that the merged folder has beside its weights.
Expected<std::map<std::string, std::string>> OtherFiles(const gguf::ModelFolder& base,
                                                        const train::Model& merged,
                                                        const std::string& precision) {
  std::map<std::string, std::string> files;
  for (const char* name : kCopied) {
    if (!base.Has(name)) continue;
    auto bytes = base.Read(name);
    if (!bytes) return tl::unexpected(bytes.error());
    files.emplace(name, std::move(*bytes));
  }
  auto config = ConfigOf(base, merged, precision);
  if (!config) return tl::unexpected(config.error());
  files.emplace("config.json", std::move(*config));
  return files;
}

// The model itself without an adapter.
Expected<train::Model> Merged(const train::Model& model, const std::string& adapter_dir) {
  if (adapter_dir.empty()) return model;
  const auto adapter = train::LoadAdapter(adapter_dir, model.config());
  if (!adapter) return tl::unexpected(adapter.error());
  auto merged = train::MergeAdapter(model, *adapter);
  if (merged) return merged;
  return Fail(merged.error().kind, adapter_dir, merged.error().message);
}

Expected<int> RunMerge(const Flags& flags) {
  const auto apart =
      CheckApart("--out",
                 flags.out_dir,
                 {{"--model", flags.model_dir, true}, {"--adapter", flags.adapter_dir}});
  if (!apart) return tl::unexpected(apart.error());
  if (auto sound = train::CheckModelFolder(flags.model_dir); !sound) {
    return tl::unexpected(sound.error());
  }
  OutFolder out(flags.out_dir);
  if (auto made = out.Make(); !made) return tl::unexpected(made.error());
  train::SetThreads(flags.threads);
  const auto model = train::LoadModel(flags.model_dir);
  if (!model) return tl::unexpected(model.error());
  const auto merged = Merged(*model, flags.adapter_dir);
  if (!merged) return tl::unexpected(merged.error());
  const auto base = gguf::ModelFolder::Open(flags.model_dir);
  if (!base) return tl::unexpected(base.error());
  const auto others = OtherFiles(*base, *merged, flags.precision);
  if (!others) return tl::unexpected(others.error());
  const auto precision =
      flags.precision == "float32" ? train::Precision::kFloat32 : train::Precision::kBFloat16;
  if (auto saved = train::SaveModelFolder(*merged, precision, flags.out_dir, *others); !saved) {
    return tl::unexpected(saved.error());
  }
  fmt::print(
      stderr, "{}: {} parameters in {}\n", flags.out_dir, merged->parameters(), flags.precision);
  return kExitOk;
}

}  // namespace

void AddMerge(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "merge");
  verb.add_option("--model", flags->model_dir, "Hugging Face folder, or GGUF file").required();
  verb.add_option("--adapter",
                  flags->adapter_dir,
                  "PEFT folder or llama.cpp file with LoRA; none: the base as it is");
  verb.add_option("--out", flags->out_dir, "Model folder to write").required();
  verb.add_option("--precision", flags->precision, "Of the weights written")
      .capture_default_str()
      .check(IsMember({"float32", "bfloat16"}));
  verb.add_option("--threads", flags->threads, "Threads")
      .capture_default_str()
      .check(Range(1, 1024));
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunMerge(*flags); }; });
}

}  // namespace dashf::cli
