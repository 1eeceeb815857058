// LoRA adapters (Hu et al. 2021, arXiv:2106.09685): y = W x + s B A x with W frozen. Plain data, so
// that whatever moves, stores or checks an adapter needs no tensor library.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
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

  // Exceptions, as PEFT's rank_pattern and alpha_pattern state them. A key names a module, as
  // ModuleName gives it, or its last parts ("q_proj", "layers.1.self_attn.q_proj"); with a leading
  // '^' the whole of it. The first key in alphabetical order that fits a module counts (PEFT's
  // files are in this order).
  std::map<std::string, int> rank_pattern = {};
  std::map<std::string, double> alpha_pattern = {};

  // Of a module: layer counted from 0, target a projection's name.
  int Rank(int layer, const std::string& target) const;
  double Scale(int layer, const std::string& target) const;
  bool operator==(const LoraConfig&) const = default;
};

// Row-major factors of one projection.
struct LoraPair {
  std::vector<float> a;  // [rank, in]
  std::vector<float> b;  // [out, rank]
  bool operator==(const LoraPair&) const = default;
};

// Hugging Face's name of a projection: "model.layers.0.self_attn.q_proj" (layer counted from 0).
std::string ModuleName(int layer, const std::string& target);
// Is `part` the module's name or its last parts?
bool NamesModule(std::string_view part, std::string_view module);

// Ranks in [1, 4096], positive finite alphas, known targets without repetition, patterns that are
// plain names (PEFT takes regular expressions); else kBadInput.
Expected<void> CheckLora(const LoraConfig& lora);

// The (in, out) widths of a projection of the model, by its Hugging Face name.
struct ProjectionShape {
  int in = 0;
  int out = 0;
};
Expected<ProjectionShape> ShapeOf(const ModelConfig& model, const std::string& target);

}  // namespace dashf::train
