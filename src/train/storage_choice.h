// How the frozen base is kept and multiplied, by the names that files and flags give it. Plain
// data.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace dashf::train {

// How the base's matrices are multiplied: `bfloat16` keeps them so too and needs a processor that
// has such products; `auto` takes it where there are any, else float32.
inline const std::vector<std::string> kArithmetics = {"float32", "bfloat16", "auto"};
// How they are kept; `auto`: as the arithmetic needs them. After it in the order of llama::Format.
inline const std::vector<std::string> kWeights = {"auto", "float32", "bfloat16", "int8", "nf4"};

struct StorageChoice {
  std::string arithmetic = "float32";
  std::string weights = "auto";

  // kBadInput at "arithmetic" or "weights" if a name is not in its list or the two do not go
  // together. Knows nothing of the processor.
  Expected<void> Validate() const;

  bool operator==(const StorageChoice&) const = default;
};

}  // namespace dashf::train
