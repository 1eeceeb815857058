// dashf train: fine-tune an adapter on this machine.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <thread>

#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/train/local_training.h"
#include "cli/train/start_line.h"
#include "cli/train/stop_signal.h"
#include "cli/train/storage_options.h"
#include "cli/verbs.h"
#include "train/compute.h"

namespace dashf::cli {
namespace {

struct Flags {
  LocalTraining training;
  std::string layers, phase = "all", objective = "full_depth", adapter = "lora";
  std::string schedule = "cosine", checkpoint_every;
  train::StorageChoice storage;
  std::string cache = "memory", recompute = "auto", memory_limit;
  std::optional<int> split, epochs, steps;
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
};

constexpr const char* kExamples =
    R"(OUT becomes a PEFT adapter folder at the end, whole or not at all. SIGINT or SIGTERM ends the training after
the step it is at, with a checkpoint in OUT/checkpoint (exit 130 or 143); a second one ends it at once.

Examples:
  dashf train --model Llama-3.2-1B --data records.json --out my-adapter --held-out 0.1
  dashf train --model BASE --data records.json --out a --targets q_proj,k_proj,v_proj,o_proj --rank 16 --alpha 32
    --batch 2 --accumulate 8 --epochs 3 --checkpoint-every 300s
  dashf train --model BASE --data records.json --out a --resume        # with the same other options
  dashf train --model BASE --data mine.json --out user --phase user --split 4 --objective early_exit
  dashf train --model BASE --data mine.json --out both --phase server --split 4 --adapter user
  dashf train --model BASE --data records.json --out q --weights nf4
  dashf train --model BASE --data records.json --out small --memory-limit 400MB)";

template <class Number>
std::optional<Number> NumberIn(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) ||
      !std::isfinite(static_cast<double>(value))) {
    return std::nullopt;
  }
  return value;
}

// "A..B" or "A".
Expected<void> ReadLayers(const std::string& text, LocalTraining* training) {
  const std::size_t dots = text.find("..");
  const auto first = NumberIn<int>(text.substr(0, dots));
  const auto last = dots == std::string::npos ? first : NumberIn<int>(text.substr(dots + 2));
  if (!first || !last || *last < *first) {
    return Fail(
        ErrorKind::kUsage, "--layers", fmt::format("must be A..B with 1 <= A <= B, got {}", text));
  }
  training->layer_first = *first;
  training->layer_last = *last;
  return {};
}

Expected<void> ReadPhase(const Flags& flags, LocalTraining* training) {
  if (!flags.layers.empty()) return ReadLayers(flags.layers, training);
  if ((flags.phase == "all") != !flags.split) {
    return Fail(ErrorKind::kUsage, "--split", "goes with --phase user or server, which need it");
  }
  if (flags.phase == "user") training->layer_last = *flags.split;
  if (flags.phase == "server") training->layer_first = *flags.split + 1;
  return {};
}

Expected<void> ReadInterval(const std::string& text, CheckpointInterval* interval) {
  if (text.empty()) return {};
  if (text.back() == 's') {
    interval->elapsed_s = NumberIn<double>(text.substr(0, text.size() - 1));
  } else {
    interval->steps = NumberIn<int>(text);
  }
  if (interval->elapsed_s || interval->steps) return {};
  return Fail(ErrorKind::kUsage,
              "--checkpoint-every",
              fmt::format("must be steps (200) or seconds (300s), got {}", text));
}

Expected<int> RunTrain(const Flags& flags) {
  TakeStopSignalsAside();
  LocalTraining training = flags.training;
  if (auto read = ReadPhase(flags, &training); !read) return tl::unexpected(read.error());
  if (auto read = ReadInterval(flags.checkpoint_every, &training.checkpoint); !read) {
    return tl::unexpected(read.error());
  }
  const auto storage = ChosenStorage(flags.storage);
  if (!storage) return tl::unexpected(storage.error());
  training.storage = *storage;
  if (flags.cache == "file") training.options.cache_folder = training.out_dir;
  training.objective = flags.objective == "early_exit" ? train::UserObjective::kEarlyExit
                                                       : train::UserObjective::kFullDepth;
  training.adapter.kind =
      flags.adapter == "lora" ? train::AdapterKind::kLora : train::AdapterKind::kAdaptionPrompt;
  training.options.recompute = flags.recompute == "yes";
  training.memory.may_recompute = flags.recompute == "auto";
  training.memory.may_halve_weights = flags.storage == train::StorageChoice();
  if (!flags.memory_limit.empty()) {
    const auto limit_bytes = ReadMemorySize(flags.memory_limit);
    if (!limit_bytes) return tl::unexpected(limit_bytes.error());
    training.memory.limit_bytes = *limit_bytes;
  }
  training.options.schedule.shape = *train::ScheduleShapeNamed(flags.schedule);
  // Steps alone take as many passes as they need.
  constexpr int kEpochs = 3, kEpochsMax = 100000;
  training.options.steps_max = flags.steps.value_or(0);
  training.options.epochs = flags.epochs.value_or(flags.steps ? kEpochsMax : kEpochs);
  train::SetThreads(flags.threads);
  training.products = SayStart(training.storage);
  return Train(training);
}

void AddAdapterOptions(Command verb, Flags* flags) {
  LocalTraining& training = flags->training;
  Option from = verb.add_option(
      "--adapter", training.adapter_dir, "PEFT adapter folder to go on with; else a new one");
  verb.add_option("--kind", flags->adapter, "A new adapter: LoRA or LLaMA-Adapter's prompts")
      .capture_default_str()
      .check(IsMember({"lora", "adaption_prompt"}))
      .excludes(from);
  train::LoraConfig& lora = training.adapter.lora;
  verb.add_option("--targets", lora.targets, "Projections with LoRA")
      .capture_default_str()
      .delimiter(',')
      .excludes(from);
  verb.add_option("--rank", lora.rank, "LoRA rank")
      .capture_default_str()
      .check(Range(1, 4096))
      .excludes(from);
  verb.add_option("--alpha", lora.alpha, "LoRA alpha: its output is scaled by alpha / rank")
      .capture_default_str()
      .check(FinitePositive())
      .excludes(from);
  verb.add_flag("--rslora", lora.rank_stabilized, "Scale by alpha / sqrt(rank) instead")
      .excludes(from);
  verb.add_option("--prompt-length", training.adapter.prompt.length, "Vectors of a prompt")
      .capture_default_str()
      .check(Range(1, 4096))
      .excludes(from);
}

void AddPhaseOptions(Command verb, Flags* flags) {
  Option layers =
      verb.add_option("--layers", flags->layers, "Layers to train, A..B, the first being 1");
  verb.add_option("--phase", flags->phase, "Or: all, 1..K (user), or K+1..L (server)")
      .capture_default_str()
      .check(IsMember({"all", "user", "server"}))
      .excludes(layers);
  verb.add_option("--split", flags->split, "K").check(Range(1, 4096)).excludes(layers);
  verb.add_option("--objective",
                  flags->objective,
                  "Take the loss above all layers, or cheaply above the last one trained")
      .capture_default_str()
      .check(IsMember({"full_depth", "early_exit"}));
}

void AddStepOptions(Command verb, Flags* flags) {
  train::TrainOptions& options = flags->training.options;
  verb.add_option("--epochs", flags->epochs, "Passes over the data (3 unless --steps is given)")
      .check(Range(1, 100000));
  verb.add_option("--steps", flags->steps, "Most steps").check(Range(1, 1'000'000'000));
  verb.add_option("--batch", options.batch_size, "Samples per batch")
      .capture_default_str()
      .check(Range(1, 4096));
  verb.add_option("--accumulate", options.accumulate, "Batches per step")
      .capture_default_str()
      .check(Range(1, 4096));
  verb.add_option("--learning-rate", options.learning_rate, "The schedule's peak")
      .capture_default_str()
      .check(
          FiniteNumber("number in (0, 1]", "FLOAT", [](double x) { return x > 0.0 && x <= 1.0; }));
  verb.add_option("--schedule", flags->schedule, "How the rate falls after the warm-up")
      .capture_default_str()
      .check(IsMember({"constant", "linear", "cosine"}));
  verb.add_option("--warmup", options.schedule.warmup, "Its steps; below 1: their share")
      .capture_default_str()
      .check(FiniteNumber("share below 1 or a whole number of steps", "FLOAT", [](double x) {
        return x >= 0.0 && x <= 1e9 && (x < 1.0 || x == std::floor(x));
      }));
  verb.add_option("--weight-decay", options.weight_decay, "AdamW's")
      .capture_default_str()
      .check(Within(0.0, 1.0));
  verb.add_option("--clip", options.gradient_norm_max, "Longer gradients are shortened to this")
      .capture_default_str()
      .check(FinitePositive());
  verb.add_option("--explosion-factor",
                  options.explosion_factor,
                  "Stop (exit 6) when the smoothed loss exceeds its least value by this factor")
      .capture_default_str()
      .check(FiniteNumber("finite number > 1", "FLOAT", [](double x) { return x > 1.0; }));
}

}  // namespace

void AddTrain(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  LocalTraining& training = flags->training;
  training.options.learning_rate = 3e-4;
  training.options.schedule.warmup = 0.03;
  Command verb = AddEngineVerb(app, "train");
  verb.add_option("--model", training.model_dir, "Hugging Face folder, or GGUF file").required();
  AddDataOptions(verb, "Records, conversations or text to train on", &training.data);
  verb.add_option("--out", training.out_dir, "PEFT adapter folder to write").required();
  AddAdapterOptions(verb, flags.get());
  AddPhaseOptions(verb, flags.get());
  AddStepOptions(verb, flags.get());
  verb.add_option("--max-tokens", training.sample_tokens_max, "Most tokens of one sample")
      .capture_default_str()
      .check(Range(3, 1 << 20));
  Option share =
      verb.add_option("--held-out", training.held_out_share, "Share of the samples to test with")
          .capture_default_str()
          .check(Within(0.0, 0.99));
  verb.add_option("--eval", training.eval_path, "Or a file of such samples to test with")
      .excludes(share);
  verb.add_option("--seed", training.options.seed, "Of the new adapter and all that is random")
      .check(Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      .capture_default_str();
  verb.add_option("--threads", flags->threads, "Threads")
      .capture_default_str()
      .check(Range(1, 1024));
  AddArithmeticOption(verb, &flags->storage);
  AddWeightsOption(verb, &flags->storage);
  AddBaseCacheOption(verb, &flags->training.base_cache);
  verb.add_option("--cache",
                  flags->cache,
                  "Where states of the layers below the trained ones, computed once, are kept: "
                  "memory, or a file without a name in OUT")
      .capture_default_str()
      .check(IsMember({"memory", "file"}));
  verb.add_option(
          "--recompute",
          flags->recompute,
          "Keep of each layer its input alone, and compute the layer again on the way "
          "back: the same result, in less memory and more time; auto: if --memory-limit needs it")
      .capture_default_str()
      .check(IsMember({"auto", "yes", "no"}));
  verb.add_option("--memory-limit",
                  flags->memory_limit,
                  "Of the process (400MB, 2GiB): foretells what the training takes and, to keep to "
                  "it, computes layers again, divides batches, holds bfloat16 files' weights so; "
                  "else exit 3")
      .type_name("SIZE");
  verb.add_option("--checkpoint-every",
                  flags->checkpoint_every,
                  "Keep all there is to go on from in OUT/checkpoint: steps (200) or time (300s)");
  verb.add_flag("--resume", training.resume, "Go on from OUT/checkpoint, to the same bytes");
  verb.add_flag("--json", training.json, "The result on stdout");
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunTrain(*flags); }; });
}

}  // namespace dashf::cli
