// LoRA adapters (Hu et al. 2021, arXiv:2106.09685): y = W x + s B A x with W frozen. Plain data, so
// that whatever moves, stores or checks an adapter needs no tensor library.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "train/model.h"

namespace dashf::train {

struct LoraConfig {
  int rank = 8;
  double alpha = 16.0;
  bool rank_stabilized = false;  // s = alpha / sqrt(rank) (arXiv:2312.03732), else alpha / rank.
  // A subset of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, each at most once.
  std::vector<std::string> targets = {"q_proj", "v_proj"};

  double Scale() const;
  bool operator==(const LoraConfig&) const = default;
};

// Row-major factors of one projection.
struct LoraPair {
  std::vector<float> a;  // [rank, in]
  std::vector<float> b;  // [out, rank]
  bool operator==(const LoraPair&) const = default;
};

// One pair per layer and target: layers[i][j] belongs to config.targets[j] in layer i.
struct Adapter {
  LoraConfig config;
  std::vector<std::vector<LoraPair>> layers;
  bool operator==(const Adapter&) const = default;
};

// A rank in [1, 4096], a positive finite alpha, known targets without repetition; else kBadInput.
Expected<void> CheckLora(const LoraConfig& lora);

// The (in, out) widths of a projection of the model, by its Hugging Face name.
struct ProjectionShape {
  int in = 0;
  int out = 0;
};
Expected<ProjectionShape> ShapeOf(const ModelConfig& model, const std::string& target);

// A uniform in +-1/sqrt(in) (PEFT's kaiming_uniform with a = sqrt(5)), B zero: the model is
// unchanged at first. Same seed, same bytes; layer i's numbers do not depend on the other layers.
// kBadInput for an unknown or repeated target or a rank < 1.
Expected<Adapter> InitialAdapter(const ModelConfig& model,
                                 const LoraConfig& lora,
                                 std::uint64_t seed);

// Every shape fits the model and every value is finite; kBadInput names layer, target and rule.
Expected<void> CheckAdapter(const Adapter& adapter, const ModelConfig& model);

// Bytes of one layer's tensors as they travel (float32): what a split profile counts.
std::int64_t BytesPerLayer(const ModelConfig& model, const LoraConfig& lora);

}  // namespace dashf::train
