#include "autograd/batch.h"

#include <ATen/Functions.h>

#include <algorithm>

namespace dashf::autograd {
namespace {

at::Tensor Copied(std::vector<std::int64_t>& values) {
  return at::from_blob(values.data(), {std::ssize(values)}, at::kLong).clone();
}

}  // namespace

Batch MakeBatch(const std::vector<corpus::Example>& examples, std::span<const std::size_t> chosen) {
  std::size_t length = 0;
  for (const std::size_t i : chosen) length = std::max(length, examples[i].tokens.size());
  Batch batch;
  batch.examples.assign(chosen.begin(), chosen.end());
  batch.shape = {std::ssize(chosen), static_cast<std::int64_t>(length)};
  std::vector<std::int64_t> tokens(chosen.size() * length, 0), loss_rows, targets;
  for (std::size_t row = 0; row < chosen.size(); ++row) {
    const corpus::Example& example = examples[chosen[row]];
    std::copy(example.tokens.begin(),
              example.tokens.end(),
              tokens.begin() + static_cast<std::ptrdiff_t>(row * length));
    for (const auto& [begin, end] : example.answers) {
      for (auto t = static_cast<std::size_t>(begin); t < static_cast<std::size_t>(end); ++t) {
        loss_rows.push_back(static_cast<std::int64_t>(row * length + t - 1));
        targets.push_back(example.tokens[t]);
      }
    }
  }
  batch.tokens = Copied(tokens);
  batch.loss_rows = Copied(loss_rows);
  batch.targets = Copied(targets);
  return batch;
}

}  // namespace dashf::autograd
