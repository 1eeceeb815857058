#include "autograd/pretrain.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "autograd/flat_parameters.h"
#include "autograd/guarded.h"
#include "autograd/llama.h"
#include "autograd/loss.h"
#include "base/rng.h"
#include "base/termination.h"
#include "train/optimizer.h"

namespace dashf::autograd {
namespace {

constexpr int kValidationSequences = 32;

struct TokenWindows {
  BatchShape shape;
  at::Tensor tokens;   // [R * T]
  at::Tensor targets;  // [R * T]: each position's next token.
};

TokenWindows Windows(std::span<const int> stream,
                     const std::vector<std::size_t>& begins,
                     int length) {
  const auto rows = std::ssize(begins);
  TokenWindows windows{
      {rows, length}, at::empty({rows * length}, at::kLong), at::empty({rows * length}, at::kLong)};
  std::int64_t* token = windows.tokens.data_ptr<std::int64_t>();
  std::int64_t* target = windows.targets.data_ptr<std::int64_t>();
  for (const std::size_t begin : begins) {
    for (std::size_t t = begin; t < begin + static_cast<std::size_t>(length); ++t) {
      *token++ = stream[t];
      *target++ = stream[t + 1];
    }
  }
  return windows;
}

at::Tensor StreamLoss(const LlamaWeights& weights, const TokenWindows& windows) {
  at::Tensor hidden = ForwardLayers(
      weights, nullptr, Embed(weights, windows.tokens), windows.shape, 0, weights.config.layers);
  hidden = RmsNorm(weights.config, hidden, weights.final_norm);
  return HeadLoss(hidden, weights.head, windows.targets);
}

// Over sequences evenly spread through the stream.
double ValidationLoss(const LlamaWeights& weights, std::span<const int> stream, int length) {
  const at::NoGradGuard no_grad;
  const std::size_t places = stream.size() - static_cast<std::size_t>(length);
  const std::size_t count = std::min<std::size_t>(kValidationSequences, places);
  double total = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    total += StreamLoss(weights, Windows(stream, {i * places / count}, length)).item<double>();
  }
  return total / static_cast<double>(count);
}

struct Trainable {
  FlatParameters parameters;
  std::size_t decayed = 0;  // Matrices come first: they alone are subject to weight decay.
};

Trainable MakeTrainable(LlamaWeights* weights) {
  std::vector<at::Tensor*> matrices, vectors;
  ForEachTensor(*weights, [&](const std::string&, at::Tensor& tensor) {
    (tensor.dim() == 2 ? matrices : vectors).push_back(&tensor);
  });
  std::size_t decayed = 0;
  for (const at::Tensor* const matrix : matrices) {
    decayed += static_cast<std::size_t>(matrix->numel());
  }
  matrices.insert(matrices.end(), vectors.begin(), vectors.end());
  FlatParameters parameters(matrices);
  if (weights->config.tied_embeddings) weights->head = weights->embedding;
  return {std::move(parameters), decayed};
}

double LearningRate(const PretrainOptions& options, int step, double elapsed_s) {
  const double done = std::min(
      1.0, std::max(static_cast<double>(step) / options.steps, elapsed_s / options.elapsed_s));
  const double cosine = 0.55 + 0.45 * std::cos(std::numbers::pi * done);
  const double warmup = std::min(1.0, (step + 1.0) / options.warmup_steps);
  return options.learning_rate * cosine * warmup;
}

Expected<void> CheckStream(const char* name, std::span<const int> stream, int length, int vocab) {
  if (std::ssize(stream) <= length) {
    return Fail(ErrorKind::kBadInput,
                name,
                fmt::format("must have more than {} tokens, got {}", length, stream.size()));
  }
  const auto wrong = std::find_if(
      stream.begin(), stream.end(), [&](int token) { return token < 0 || token >= vocab; });
  if (wrong == stream.end()) return {};
  return Fail(ErrorKind::kBadInput, name, fmt::format("token {} is not in [0, {})", *wrong, vocab));
}

Expected<Model> PretrainChecked(const Model& initial,
                                std::span<const int> train,
                                std::span<const int> validation,
                                const PretrainOptions& options) {
  const Stopwatch watch;
  LlamaWeights weights = TensorsOf(initial);
  auto [parameters, decayed] = MakeTrainable(&weights);
  const std::span<float> gradient = parameters.gradients();
  train::AdamWState optimizer(parameters.values().size());
  Rng rng = Rng(options.seed).Stream("windows");
  const int length = options.sequence_length;
  const std::uint64_t places = train.size() - static_cast<std::size_t>(length);
  PretrainReport report;
  double loss_sum = 0.0, reported_s = 0.0;
  int summed = 0;
  for (bool more = true; more;) {
    std::vector<std::size_t> begins;
    for (int i = 0; i < options.batch_size; ++i) begins.push_back(rng.Below(places));
    std::fill(gradient.begin(), gradient.end(), 0.0F);
    const at::Tensor loss = StreamLoss(weights, Windows(train, begins, length));
    loss.backward();
    const double norm = train::ClipGradient(1.0, gradient);
    const double value = loss.item<double>();
    if (!std::isfinite(value) || !std::isfinite(norm)) {
      return Fail(ErrorKind::kNumerical,
                  fmt::format("step {}", report.step + 1),
                  fmt::format("loss {} with gradient norm {}", value, norm));
    }
    train::AdamWStep(LearningRate(options, report.step, watch.ElapsedS()),
                     options.weight_decay,
                     decayed,
                     gradient,
                     parameters.values(),
                     &optimizer);
    loss_sum += value;
    ++summed;
    ++report.step;
    report.tokens += std::int64_t{options.batch_size} * length;
    report.elapsed_s = watch.ElapsedS();
    more = report.step < options.steps && report.elapsed_s < options.elapsed_s;
    if (options.on_report &&
        (!more || report.elapsed_s - reported_s >= options.report_interval_s)) {
      reported_s = report.elapsed_s;
      report.train_loss = loss_sum / summed;
      report.validation_loss = ValidationLoss(weights, validation, length);
      loss_sum = 0.0;
      summed = 0;
      more = options.on_report(report, ModelOf(weights)) && more;
    }
  }
  return ModelOf(weights);
}

}  // namespace

Expected<Model> Pretrain(const Model& initial,
                         std::span<const int> train,
                         std::span<const int> validation,
                         const PretrainOptions& options) {
  return Guarded("pre-training", [&]() -> Expected<Model> {
    const ModelConfig& config = initial.config();
    const int length = options.sequence_length;
    if (length < 1 || length > config.max_positions) {
      return Fail(ErrorKind::kBadInput,
                  "sequence_length",
                  fmt::format("must be in [1, {}], got {}", config.max_positions, length));
    }
    if (auto sound = CheckStream("training text", train, length, config.vocab_size); !sound) {
      return tl::unexpected(sound.error());
    }
    if (auto sound = CheckStream("validation text", validation, length, config.vocab_size);
        !sound) {
      return tl::unexpected(sound.error());
    }
    return PretrainChecked(initial, train, validation, options);
  });
}

}  // namespace dashf::autograd
