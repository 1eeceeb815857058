// adapter_config.json of PEFT: whatever is accepted tells of each module whether it is covered,
// and, given targets, is either refused by the adapter's own rules or written and read again the
// same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "train/peft_config.h"
#include "train/projection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace train = dashf::train;
  train::ModelConfig model;
  model.layers = 3;
  model.hidden_size = 12;
  model.heads = model.kv_heads = 2;
  model.head_dim = 6;
  model.intermediate_size = 20;
  model.vocab_size = 31;
  auto config = train::ParsePeftConfig("f", {reinterpret_cast<const char*>(data), size}, model);
  if (!config) return 0;
  train::AdapterConfig& adapter = config->adapter;
  adapter.lora.targets.clear();
  for (const std::string_view name : train::kProjectionNames) {
    bool covered = false;
    for (int layer = 0; layer < model.layers; ++layer) {
      covered = config->coverage.Covers(layer, std::string(name)) || covered;
    }
    if (covered) adapter.lora.targets.emplace_back(name);
  }
  if (!train::CheckAdapterConfig(adapter, model)) return 0;
  const std::string text = train::WritePeftConfig(adapter, model, "base");
  auto again = train::ParsePeftConfig("f", text, model);
  DASHF_CHECK(again);
  again->adapter.lora.targets = adapter.lora.targets;
  DASHF_CHECK(again->adapter == adapter);
  DASHF_CHECK(train::WritePeftConfig(again->adapter, model, "base") == text);
  return 0;
}
