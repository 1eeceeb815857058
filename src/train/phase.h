// What distinguishes the phases of split fine-tuning. Plain data; internal to this module.
#pragma once

#include <filesystem>

namespace dashf::train {

// Layers are counted from 0, ranges are half open.
struct Phase {
  int first_trained = 0;
  int last_trained = 0;
  int loss_after = 0;  // The loss is taken above this many layers, through the final norm and head.
  int cached = 0;      // The hidden states above this many layers come from a cache.
  std::filesystem::path cache_folder = {};  // Which is a file there; empty: memory.
};

}  // namespace dashf::train
