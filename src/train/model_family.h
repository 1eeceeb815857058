// The families of models that are read, by their name in config.json, and what others would need.
#pragma once

#include <string>
#include <string_view>

#include "llama/config.h"

namespace dashf::train {

// What files call a family, and what its configuration means where it is silent: the defaults of
// transformers.
struct FamilyTraits {
  llama::Family family = llama::Family::kLlama;
  std::string_view model_type, architecture;
  bool tied_embeddings = false;
  int head_dim = 0;  // 0: hidden_size / num_attention_heads.
  int max_positions = 2048;
  double rope_theta = 10000.0;
  int sliding_window = 0;  // 0: none.
  int bos_token = -1;      // -1: none.
  int eos_token = -1;
};
const FamilyTraits& TraitsOf(llama::Family family);
// nullptr if it is not read.
const FamilyTraits* FindFamily(std::string_view model_type);

// Why a model of this type is not read: what it would need beside what there is.
std::string WhyNotRead(std::string_view model_type);

}  // namespace dashf::train
