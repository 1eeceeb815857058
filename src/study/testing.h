// A two-layer random model and random examples for this module's tests.
#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "study/training.h"
#include "train/adapter.h"
#include "train/compute.h"
#include "train/model.h"

namespace dashf::study::testing {

// Children are forked from a process that must have one thread.
inline const bool kOneThread = (train::SetThreads(1), true);

inline train::ModelConfig TinyConfig() {
  train::ModelConfig config;
  config.layers = 2;
  config.hidden_size = 8;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.intermediate_size = 12;
  config.vocab_size = 19;
  config.max_positions = 32;
  return config;
}

inline train::AdapterConfig TinyAdapter() {
  return {.lora = {.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj"}}};
}

inline UserData RandomUser(int train_examples, std::uint64_t seed) {
  Rng rng(seed);
  const auto examples = [&rng](int count) {
    std::vector<corpus::Example> made;
    for (int i = 0; i < count; ++i) {
      const auto length = 4 + rng.Below(6);
      std::vector<int> tokens;
      for (std::uint64_t t = 0; t < length; ++t) tokens.push_back(static_cast<int>(rng.Below(19)));
      made.emplace_back(tokens, static_cast<int>(1 + rng.Below(length - 1)));
    }
    return made;
  };
  UserData user{.train = examples(train_examples), .test = examples(4), .data_bytes = 100.0};
  user.sha256 = DigestOf(user);
  return user;
}

}  // namespace dashf::study::testing
