// dashf score: how good a model, with or without an adapter, is on a data file.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/train/data_options.h"
#include "cli/train/start_line.h"
#include "cli/train/storage_options.h"
#include "cli/verbs.h"
#include "train/compute.h"
#include "train/held_out.h"
#include "train/model_folder.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string model_dir;
  std::string adapter_dir;
  train::StorageChoice storage;
  std::string base_cache = "auto";
  std::string labels_path;
  DataOptions data;
  int tokens_max = 512;
  int threads = 1;
  bool json = false;
};

constexpr const char* kExamples =
    R"(Loss and perplexity are per answer token; exact match is the share of samples whose answers greedy decoding
reproduces. With --labels also the share of samples whose label is the most probable of all, whatever else the
model would rather say.

Examples:
  dashf score --model share/models/debian-3m --data sections/u0/test.jsonl --labels sections/labels.json
  dashf score --model BASE --adapter RUN/adapters/u0 --data held-out.jsonl --json
  dashf score --model BASE --data book.txt --format text --max-tokens 1024
  dashf score --model BASE --data held-out.jsonl --weights int8       # what 8 bits a weight cost)";

void Print(const Flags& flags,
           llama::Format weights,
           const train::Products& products,
           const corpus::DataReport& report,
           const train::Assessment& assessment) {
  const train::Evaluation& evaluation = assessment.evaluation;
  if (flags.json) {
    nlohmann::ordered_json object = {{"loss_nat_per_token", evaluation.loss},
                                     {"perplexity", evaluation.perplexity},
                                     {"exact_match", evaluation.exact_match},
                                     {"examples", evaluation.examples},
                                     {"answer_tokens", evaluation.answer_tokens},
                                     {"weights", train::Name(weights)},
                                     {"products", ProductsJson(products)},
                                     {"data", ToJson(report)}};
    if (assessment.choice_accuracy) object["choice_accuracy"] = *assessment.choice_accuracy;
    fmt::print("{}\n", object.dump(2));
    return;
  }
  fmt::print("loss             {:.4f} nat per answer token ({} tokens of {} examples)\n",
             evaluation.loss,
             evaluation.answer_tokens,
             evaluation.examples);
  fmt::print("perplexity       {:.4g}\n", evaluation.perplexity);
  fmt::print("exact match      {:.1f} %\n", 100.0 * evaluation.exact_match);
  if (assessment.choice_accuracy) {
    fmt::print("choice of label  {:.1f} %\n", 100.0 * *assessment.choice_accuracy);
  }
}

Expected<int> RunScore(const Flags& flags) {
  if (auto sound = train::CheckModelFolder(flags.model_dir); !sound) {
    return tl::unexpected(sound.error());
  }
  train::SetThreads(flags.threads);
  const auto storage = ChosenStorage(flags.storage);
  if (!storage) return tl::unexpected(storage.error());
  const train::Products products = SayStart(*storage);
  corpus::DataReport report;
  const auto samples = ReadData(flags.data, &report);
  if (!samples) return tl::unexpected(samples.error());
  std::vector<std::string> labels;
  if (!flags.labels_path.empty()) {
    auto read = ReadLabels(flags.labels_path);
    if (!read) return tl::unexpected(read.error());
    labels = std::move(*read);
  }
  const auto model = LoadBase(flags.model_dir, *storage, flags.base_cache);
  if (!model) return tl::unexpected(model.error());
  const auto tokenizer = corpus::Tokenizer::Load(flags.model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  std::optional<train::Adapter> adapter;
  if (!flags.adapter_dir.empty()) {
    auto loaded = train::LoadAdapter(flags.adapter_dir, model->config());
    if (!loaded) return tl::unexpected(loaded.error());
    adapter = std::move(*loaded);
  }
  const auto chat = TemplateFor(flags.data.chat_template, flags.model_dir, *tokenizer);
  std::size_t longest_label = 0;  // For which a prompt must leave room.
  for (const std::string& label : labels) {
    longest_label = std::max(longest_label, tokenizer->EncodeText(label).size() + 2);
  }
  const int tokens_max =
      std::min(flags.tokens_max, model->config().max_positions - static_cast<int>(longest_label));
  if (tokens_max < 3) return Fail(ErrorKind::kBadInput, flags.labels_path, "a label is too long");
  const auto held_out =
      train::PrepareHeldOut(*samples, labels, *tokenizer, chat, tokens_max, &report);
  if (!held_out) return Fail(held_out.error().kind, flags.data.path, held_out.error().Text());
  WarnIfEndless(flags.model_dir, *tokenizer);
  TellData(flags.data.path, report);
  if (!labels.empty() && held_out->prompts.empty()) {
    return Fail(ErrorKind::kBadInput, flags.data.path, "has an answer that is none of --labels");
  }
  const auto assessment = train::Assess(*model, adapter ? &*adapter : nullptr, *held_out);
  if (!assessment) return tl::unexpected(assessment.error());
  Print(flags, storage->projections, products, report, *assessment);
  return kExitOk;
}

}  // namespace

void AddScore(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "score");
  verb.add_option("--model", flags->model_dir, "Hugging Face folder, or GGUF file").required();
  verb.add_option("--adapter", flags->adapter_dir, "PEFT adapter folder to apply");
  AddDataOptions(verb, "Records, conversations or text to be scored on", &flags->data);
  verb.add_option(
      "--labels", flags->labels_path, "JSON file with the labels to choose among: a list of texts");
  verb.add_option("--max-tokens", flags->tokens_max, "Most tokens of one sample")
      .capture_default_str()
      .check(Range(3, 1 << 20));
  AddWeightsOption(verb, &flags->storage);
  AddBaseCacheOption(verb, &flags->base_cache);
  verb.add_option("--threads", flags->threads, "Threads")
      .capture_default_str()
      .check(Range(1, 1024));
  verb.add_flag("--json", flags->json, "Print the scores as JSON");
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunScore(*flags); }; });
}

}  // namespace dashf::cli
