#include "train/batch_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace dashf::train {
namespace {

// Batches are cut from this many batches' worth of examples, sorted by length.
constexpr std::size_t kSortedBatches = 16;

}  // namespace

std::vector<std::vector<std::size_t>> BatchOrder(const std::vector<corpus::Example>& examples,
                                                 int batch_size,
                                                 Rng* rng) {
  std::vector<std::size_t> order(examples.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (rng != nullptr) rng->Shuffle(&order);
  const auto size = static_cast<std::size_t>(batch_size);
  const std::size_t window = rng != nullptr ? size * kSortedBatches : order.size();
  const auto shorter = [&](std::size_t a, std::size_t b) {
    return examples[a].tokens.size() < examples[b].tokens.size();
  };
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += window) {
    const std::size_t end = std::min(begin + window, order.size());
    const auto at = [&](std::size_t i) { return order.begin() + static_cast<std::ptrdiff_t>(i); };
    std::stable_sort(at(begin), at(end), shorter);
    for (std::size_t i = begin; i < end; i += size) {
      batches.emplace_back(at(i), at(std::min(i + size, end)));
    }
  }
  if (rng != nullptr) rng->Shuffle(&batches);
  return batches;
}

Expected<void> CheckExamples(const std::vector<corpus::Example>& examples,
                             const ModelConfig& model) {
  if (examples.empty()) return Fail(ErrorKind::kBadInput, "examples", "must not be empty");
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::vector<int>& tokens = examples[i].tokens;
    const std::vector<corpus::Span>& answers = examples[i].answers;
    const std::string where = fmt::format("examples[{}]", i);
    if (std::ssize(tokens) > model.max_positions) {
      return Fail(
          ErrorKind::kBadInput,
          where,
          fmt::format("has {} tokens, the model takes {}", tokens.size(), model.max_positions));
    }
    if (answers.empty()) return Fail(ErrorKind::kBadInput, where, "must have an answer");
    int free = 1;  // The first position that an answer may begin at.
    for (const auto& [begin, end] : answers) {
      if (begin < free || end <= begin || end > std::ssize(tokens)) {
        return Fail(ErrorKind::kBadInput,
                    where,
                    fmt::format("must have a prompt token before its answers, which must hold a "
                                "token and not overlap, got [{}, {}) of {} tokens",
                                begin,
                                end,
                                tokens.size()));
      }
      free = end;
    }
    for (const int token : tokens) {
      if (token >= 0 && token < model.vocab_size) continue;
      return Fail(ErrorKind::kBadInput,
                  where,
                  fmt::format("token {} is not in [0, {})", token, model.vocab_size));
    }
  }
  return {};
}

}  // namespace dashf::train
