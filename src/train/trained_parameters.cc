#include "train/trained_parameters.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "train/projection.h"

namespace dashf::train {
namespace {

// Calls visit(vector or number) for every trained tensor, in the flat vector's order.
template <class AdapterT, class Visit>
void ForEachTrained(AdapterT& adapter, int first, int last, Visit visit) {
  const std::vector<std::string>& targets = adapter.config.lora.targets;
  for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
    if (adapter.config.kind == AdapterKind::kAdaptionPrompt) {
      visit(std::span(adapter.prompts[i].prompt));
      visit(std::span(&adapter.prompts[i].gate, 1));
      continue;
    }
    for (const std::string_view name : kProjectionNames) {
      const auto target = std::find(targets.begin(), targets.end(), name) - targets.begin();
      if (target == std::ssize(targets)) continue;
      auto& pair = adapter.layers[i][static_cast<std::size_t>(target)];
      visit(std::span(pair.a));
      visit(std::span(pair.b));
    }
  }
}

}  // namespace

std::vector<float> TrainedParameters(const Adapter& adapter, int first, int last) {
  std::vector<float> parameters;
  ForEachTrained(adapter, first, last, [&](std::span<const float> values) {
    parameters.insert(parameters.end(), values.begin(), values.end());
  });
  return parameters;
}

std::vector<float> AllParameters(const Adapter* adapter) {
  if (adapter == nullptr) return {};
  const auto layers = std::max(std::ssize(adapter->layers), std::ssize(adapter->prompts));
  return TrainedParameters(*adapter, 0, static_cast<int>(layers));
}

void SetTrainedParameters(std::span<const float> parameters,
                          int first,
                          int last,
                          Adapter* adapter) {
  std::size_t begin = 0;
  ForEachTrained(*adapter, first, last, [&](std::span<float> values) {
    DASHF_CHECK(begin + values.size() <= parameters.size());
    std::copy_n(
        parameters.begin() + static_cast<std::ptrdiff_t>(begin), values.size(), values.begin());
    begin += values.size();
  });
  DASHF_CHECK(begin == parameters.size());
}

}  // namespace dashf::train
