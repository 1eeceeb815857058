#include "cli/train/local_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/peak_memory.h"
#include "base/rng.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/train/checkpoints.h"
#include "cli/train/out_place.h"
#include "cli/train/progress_lines.h"
#include "cli/train/start_line.h"
#include "cli/train/stop_signal.h"
#include "cli/train/storage_options.h"
#include "corpus/samples.h"
#include "corpus/tokenizer.h"
#include "train/compute.h"
#include "train/evaluate.h"
#include "train/model_folder.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;

struct Examples {
  std::vector<corpus::Example> trained, held_out;
  corpus::DataReport data, eval;  // Of --data, what is held out of it included; of --eval.
};

// What the training stands on but for the weights, read and checked.
struct Materials {
  train::ModelConfig model;
  Examples examples;
  train::Adapter adapter;
  int first = 1, last = 0;
};

// Moves a random share of the samples away.
std::vector<corpus::Sample> HoldOut(double share,
                                    std::uint64_t seed,
                                    std::vector<corpus::Sample>* samples) {
  Rng(seed).Stream("held_out").Shuffle(samples);
  const auto count =
      static_cast<std::ptrdiff_t>(std::ceil(share * static_cast<double>(samples->size())));
  const auto begin = samples->end() - count;
  std::vector<corpus::Sample> held_out(std::make_move_iterator(begin),
                                       std::make_move_iterator(samples->end()));
  samples->erase(begin, samples->end());
  return held_out;
}

Expected<Examples> LoadExamples(const LocalTraining& training, int positions_max) {
  const auto tokenizer = corpus::Tokenizer::Load(training.model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  Examples examples;
  auto samples = ReadData(training.data, &examples.data);
  if (!samples) return tl::unexpected(samples.error());
  std::vector<corpus::Sample> held_out;
  DataOptions eval = training.data;
  if (training.held_out_share > 0.0) {
    held_out = HoldOut(training.held_out_share, training.options.seed, &*samples);
    if (samples->empty()) {
      return Fail(
          ErrorKind::kBadInput,
          eval.path,
          fmt::format(
              "{} of its {} samples are held out by --held-out {}, which leaves none to train on; "
              "give it more, or test with a file of their own: --eval",
              held_out.size(),
              held_out.size(),
              training.held_out_share));
    }
  } else if (!training.eval_path.empty()) {
    eval.path = training.eval_path;
    auto read = ReadData(eval, &examples.eval);
    if (!read) return tl::unexpected(read.error());
    held_out = std::move(*read);
  }
  const auto chat = TemplateFor(training.data.chat_template, training.model_dir, *tokenizer);
  const int tokens_max = std::min(training.sample_tokens_max, positions_max);
  auto trained = corpus::TokenizeSamples(*samples, *tokenizer, chat, tokens_max, &examples.data);
  if (!trained) return Fail(trained.error().kind, training.data.path, trained.error().Text());
  const bool own_file = !training.eval_path.empty();
  auto tested = corpus::TokenizeSamples(
      held_out, *tokenizer, chat, tokens_max, own_file ? &examples.eval : &examples.data);
  if (!tested) return Fail(tested.error().kind, eval.path, tested.error().Text());
  WarnIfEndless(training.model_dir, *tokenizer);
  TellData(training.data.path, examples.data);
  if (own_file) TellData(eval.path, examples.eval);
  examples.trained = std::move(*trained);
  examples.held_out = std::move(*tested);
  return examples;
}

Expected<Materials> Load(const LocalTraining& training) {
  if (auto sound = train::CheckModelFolder(training.model_dir); !sound) {
    return tl::unexpected(sound.error());
  }
  auto model = train::LoadModelConfig(training.model_dir);
  if (!model) return tl::unexpected(model.error());
  const int layers = model->layers;
  const int last = training.layer_last > 0 ? training.layer_last : layers;
  if (training.layer_first > last || last > layers) {
    return Fail(ErrorKind::kUsage,
                "--layers",
                fmt::format("must be among 1..{}, got {}..{}", layers, training.layer_first, last));
  }
  auto examples = LoadExamples(training, model->max_positions);
  if (!examples) return tl::unexpected(examples.error());
  auto adapter = training.adapter_dir.empty()
                     ? train::InitialAdapter(*model, training.adapter, training.options.seed)
                     : train::LoadAdapter(training.adapter_dir, *model);
  if (!adapter) return tl::unexpected(adapter.error());
  if (!training.adapter_dir.empty()) {
    const auto dropout = train::DropoutOf(training.adapter_dir, *model);
    if (dropout && *dropout > 0.0) {
      fmt::print(stderr,
                 "{}: its lora_dropout of {} is not applied: this training drops nothing out\n",
                 training.adapter_dir,
                 *dropout);
    }
  }
  return Materials{
      std::move(*model), std::move(*examples), std::move(*adapter), training.layer_first, last};
}

// Within the limit of memory, if there is one: by settings that leave the training's steps what
// they are.
Expected<MemoryChoice> ChooseMemory(const LocalTraining& training, const Materials& materials) {
  auto choice = ChooseWithin(training.memory,
                             {.model = materials.model,
                              .examples = materials.examples.trained,
                              .held_out = materials.examples.held_out,
                              .adapter = materials.adapter,
                              .first = materials.first,
                              .last = materials.last,
                              .objective = training.objective},
                             training.options,
                             training.storage,
                             training.model_dir);
  if (choice && training.memory.limit_bytes) {
    fmt::print(stderr,
               "memory: limit {:.0f} MB, {}\n",
               *training.memory.limit_bytes / 1e6,
               Described(*choice));
  }
  return choice;
}

using Json = nlohmann::ordered_json;

Expected<std::optional<train::Evaluation>> HeldOut(const train::Model& model,
                                                   const Materials& materials,
                                                   const train::Adapter& adapter) {
  if (materials.examples.held_out.empty()) return std::nullopt;
  const auto evaluation = train::Evaluate(model, &adapter, materials.examples.held_out);
  if (!evaluation) return tl::unexpected(evaluation.error());
  return *evaluation;
}

Json ToJson(const train::Evaluation& evaluation) {
  return {{"loss", evaluation.loss},
          {"perplexity", evaluation.perplexity},
          {"exact_match", evaluation.exact_match}};
}

Json ToJson(const MemoryChoice& choice, const std::optional<double>& limit_bytes) {
  Json memory = {{"limit_bytes", nullptr},
                 {"foretold_bytes", choice.Total()},
                 {"peak_bytes", PeakMemoryBytes()},
                 {"recompute", choice.options.recompute},
                 {"batch", choice.options.batch_size},
                 {"accumulate", choice.options.accumulate}};
  if (limit_bytes) memory["limit_bytes"] = *limit_bytes;
  return memory;
}

void PrintResult(const LocalTraining& training,
                 const Materials& materials,
                 const MemoryChoice& memory,
                 const train::PhaseReport& report,
                 const std::optional<train::Evaluation>& before,
                 const std::optional<train::Evaluation>& after) {
  if (before && after) {
    fmt::print(stderr,
               "held out ({} examples): loss {:.4f} -> {:.4f}, exact match {:.1f} % -> {:.1f} %\n",
               after->examples,
               before->loss,
               after->loss,
               100.0 * before->exact_match,
               100.0 * after->exact_match);
  }
  fmt::print(stderr,
             "{}: a PEFT adapter after {} steps of {}\n",
             training.out_dir,
             report.steps,
             Duration(report.elapsed_s));
  if (!training.json) return;
  Json result = {{"out", training.out_dir},
                 {"layers", {materials.first, materials.last}},
                 {"arithmetic", train::Name(training.storage.arithmetic)},
                 {"weights", train::Name(training.storage.projections)},
                 {"products", ProductsJson(training.products)},
                 {"examples", materials.examples.trained.size()},
                 {"data", cli::ToJson(materials.examples.data)},
                 {"steps", report.steps},
                 {"tokens", report.tokens},
                 {"losses", report.losses},
                 {"elapsed_s", report.elapsed_s},
                 {"cpu_s", report.cpu_s},
                 {"memory", ToJson(memory, training.memory.limit_bytes)},
                 {"held_out", nullptr}};
  if (before && after) {
    result["held_out"] = {{"examples", after->examples},
                          {"answer_tokens", after->answer_tokens},
                          {"before", ToJson(*before)},
                          {"after", ToJson(*after)}};
  }
  fmt::print("{}\n", result.dump(2));
}

Expected<void> Save(const LocalTraining& training,
                    const Materials& materials,
                    const train::Adapter& adapter) {
  std::error_code unknown;  // Then the name stays as it was given.
  const fs::path base = fs::absolute(training.model_dir, unknown).lexically_normal();
  return train::SaveAdapter(
      adapter, materials.model, unknown ? training.model_dir : base.string(), training.out_dir);
}

// Writes the adapter where the loss was least, if there is one, and says what happened.
Error Diverged(const LocalTraining& training,
               const Materials& materials,
               const train::Divergence& divergence,
               const train::Adapter& adapter) {
  Error error{ErrorKind::kNumerical,
              fmt::format("step {}", divergence.step),
              fmt::format("the training diverged: {}", divergence.reason)};
  if (divergence.best_steps == 0) {
    error.message += "; no step made it better, nothing is written";
    return error;
  }
  if (auto saved = Save(training, materials, adapter); !saved) return saved.error();
  error.message += fmt::format(
      "; {} has the adapter after step {}, where the loss was least: go on from it by --adapter "
      "with a smaller --learning-rate",
      training.out_dir,
      divergence.best_steps);
  return error;
}

}  // namespace

Expected<int> Train(const LocalTraining& asked) {
  if (auto sound = asked.options.Validate(); !sound) return tl::unexpected(sound.error());
  if (auto apart = CheckApart("--out", asked.out_dir, {{"--model", asked.model_dir, true}});
      !apart) {
    return tl::unexpected(apart.error());
  }
  OutFolder out(asked.out_dir);
  if (auto made = out.Make(); !made) return tl::unexpected(made.error());
  const auto materials = Load(asked);
  if (!materials) return tl::unexpected(materials.error());
  const auto memory = ChooseMemory(asked, *materials);
  if (!memory) return tl::unexpected(memory.error());
  LocalTraining training = asked;
  training.options = memory->options;
  training.storage = memory->storage;
  const auto model = LoadBase(training.model_dir, training.storage, training.base_cache);
  if (!model) return tl::unexpected(model.error());
  Checkpoints checkpoints(
      training, materials->examples.trained, materials->first, materials->last, materials->adapter);
  const auto from = checkpoints.Begin();
  if (!from) return tl::unexpected(from.error());
  const auto before = HeldOut(*model, *materials, materials->adapter);
  if (!before) return tl::unexpected(before.error());

  train::TrainOptions options = training.options;
  options.from = *from ? &**from : nullptr;
  ProgressLines progress;
  options.on_step = [&](const train::StepReport& report) {
    progress.Show(report);
    return StopSignal::received() == 0;
  };
  options.on_state = [&](const train::TrainingState& state) {
    return checkpoints.Keep(state, StopSignal::received() != 0);
  };
  train::Adapter adapter = materials->adapter;
  std::optional<StopSignal> signals(std::in_place);
  const auto report = train::TrainLayers(*model,
                                         materials->examples.trained,
                                         materials->first,
                                         materials->last,
                                         training.objective,
                                         options,
                                         &adapter);
  if (!report) return tl::unexpected(checkpoints.WithAdvice(report.error()));
  if (report->stopped) {
    fmt::print(stderr,
               "dashf: {} after step {}; --resume goes on from there\n",
               strsignal(StopSignal::received()),
               report->steps);
    return 128 + StopSignal::received();
  }
  if (report->divergence) {
    Error error = Diverged(training, *materials, *report->divergence, adapter);
    if (error.kind == ErrorKind::kNumerical) checkpoints.End();
    return tl::unexpected(error);
  }
  if (auto saved = Save(training, *materials, adapter); !saved) {
    return tl::unexpected(checkpoints.KeepLast(saved.error()));
  }
  checkpoints.End();
  signals.reset();  // Whatever ends the process from here on, the adapter is there.
  const auto after = HeldOut(*model, *materials, adapter);
  if (!after) return tl::unexpected(after.error());
  PrintResult(training, *materials, *memory, *report, *before, *after);
  return kExitOk;
}

}  // namespace dashf::cli
