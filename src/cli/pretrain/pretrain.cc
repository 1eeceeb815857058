// dashf pretrain: a small base model from a text file.
#include "autograd/pretrain.h"
#include "autograd/products.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/file.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "corpus/dataset.h"
#include "corpus/tokenizer.h"
#include "train/compute.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string text_path;
  std::string tokenizer_path;
  std::string from_dir;
  std::string out_dir;
  train::ModelConfig config;
  autograd::PretrainOptions options;
  std::optional<double> minutes;
  std::optional<int> steps;
  int threads = 1;
};

constexpr double kValidationShare = 0.01;  // The text's last part is not trained on.

constexpr const char* kExamples =
    R"(Writes OUT (config.json, model.safetensors in bfloat16, tokenizer.model) at every report, so that it can
be used, or the training ended, at any time.

Examples:
  dashf sections --corpus corpus.txt
  dashf pretrain --text corpus.txt --tokenizer tokenizer.model --layers 6 --dim 192 --heads 6 --ffn 512
    --minutes 50 --out base)";

// A model left by an earlier pre-training, or a random one whose shape follows from the flags and
// the tokenizer.
Expected<train::Model> InitialModel(const Flags& flags, const corpus::Tokenizer& tokenizer) {
  if (!flags.from_dir.empty()) return train::LoadModel(flags.from_dir);
  train::ModelConfig config = flags.config;
  if (config.hidden_size % config.heads != 0 || (config.hidden_size / config.heads) % 2 != 0) {
    return Fail(ErrorKind::kUsage, "--heads", "--dim must be an even multiple of it");
  }
  config.kv_heads = config.heads;
  config.head_dim = config.hidden_size / config.heads;
  config.vocab_size = tokenizer.vocab_size();
  config.tied_embeddings = true;
  config.max_positions = 2 * flags.options.sequence_length;
  config.bos_token = tokenizer.bos_id();
  config.eos_tokens = {tokenizer.eos_id()};
  return train::RandomModel(config, flags.options.seed);
}

Expected<int> RunPretrain(const Flags& flags) {
  train::SetThreads(flags.threads);
  const std::string slow = autograd::ProductsWarning();
  if (!slow.empty()) fmt::print(stderr, "warning: {}\n", slow);
  const auto tokenizer_bytes = ReadFile(flags.tokenizer_path);
  if (!tokenizer_bytes) return tl::unexpected(tokenizer_bytes.error());
  const auto tokenizer = corpus::Tokenizer::Parse(flags.tokenizer_path, *tokenizer_bytes);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  const auto initial = InitialModel(flags, *tokenizer);
  if (!initial) return tl::unexpected(initial.error());
  const auto text = ReadFile(flags.text_path);
  if (!text) return tl::unexpected(text.error());
  const std::vector<int> tokens = corpus::TokenizeText(*text, *tokenizer);
  const auto held_out =
      static_cast<std::size_t>(std::ceil(kValidationShare * static_cast<double>(tokens.size())));
  const std::span<const int> stream(tokens);

  const std::filesystem::path out = flags.out_dir;
  if (auto done = WriteFileAtomically(out / "tokenizer.model", *tokenizer_bytes); !done) {
    return tl::unexpected(done.error());
  }
  Expected<void> saved;
  autograd::PretrainOptions options = flags.options;
  options.steps = flags.steps.value_or(options.steps);
  if (flags.minutes) options.elapsed_s = *flags.minutes * 60.0;
  if (flags.minutes && !flags.steps) options.steps = std::numeric_limits<int>::max();
  fmt::print(
      stderr, "{:>8} {:>12} {:>8} {:>11} {:>11}\n", "step", "tokens", "s", "train", "held out");
  options.on_report = [&](const autograd::PretrainReport& report, const train::Model& model) {
    fmt::print(stderr,
               "{:>8} {:>12} {:>8.0f} {:>11.4f} {:>11.4f}\n",
               report.step,
               report.tokens,
               report.elapsed_s,
               report.train_loss,
               report.validation_loss);
    saved = train::SaveModel(model, train::Precision::kBFloat16, out);
    return saved.has_value();
  };
  const auto model = autograd::Pretrain(
      *initial, stream.first(stream.size() - held_out), stream.last(held_out), options);
  if (!model) return tl::unexpected(model.error());
  if (!saved) return tl::unexpected(saved.error());
  return kExitOk;
}

}  // namespace

void AddPretrain(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  flags->config.layers = 6;
  flags->config.hidden_size = 192;
  flags->config.heads = 6;
  flags->config.intermediate_size = 512;
  Command verb = AddEngineVerb(app, "pretrain");
  verb.add_option("--text", flags->text_path, "Documents, parted by two empty lines").required();
  verb.add_option("--tokenizer", flags->tokenizer_path, "SentencePiece tokenizer.model").required();
  verb.add_option("--from", flags->from_dir, "Model folder to continue from (its shape counts)");
  verb.add_option("--out", flags->out_dir, "Model folder to write").required();
  const auto size = [&](const char* name, int* value, const char* text) {
    verb.add_option(name, *value, text).capture_default_str().check(Range(1, 65536));
  };
  size("--layers", &flags->config.layers, "Layers");
  size("--dim", &flags->config.hidden_size, "Width of the hidden states");
  size("--heads", &flags->config.heads, "Attention heads");
  size("--ffn", &flags->config.intermediate_size, "Width of the feed-forward block");
  size("--length", &flags->options.sequence_length, "Tokens per sequence");
  size("--batch", &flags->options.batch_size, "Sequences per step");
  size("--threads", &flags->threads, "Threads");
  verb.add_option("--learning-rate", flags->options.learning_rate, "Peak of the schedule")
      .capture_default_str()
      .check(Within(1e-8, 1.0));
  verb.add_option("--steps", flags->steps, "Steps (default 1000 unless --minutes is given)")
      .check(Range(1, 1'000'000'000));
  verb.add_option("--minutes", flags->minutes, "Time to train").check(FinitePositive());
  verb.add_option("--report-s", flags->options.report_interval_s, "Seconds between reports")
      .capture_default_str()
      .check(FinitePositive());
  verb.add_option("--seed", flags->options.seed, "Random seed").capture_default_str();
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunPretrain(*flags); }; });
}

}  // namespace dashf::cli
