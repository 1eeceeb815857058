#include "train/storage_choice.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf::train {
namespace {

Expected<void> MustBeIn(const std::vector<std::string>& names,
                        const char* where,
                        const std::string& name) {
  if (std::ranges::find(names, name) != names.end()) return {};
  return Fail(ErrorKind::kBadInput,
              where,
              fmt::format("must be one of: {}, got {}", fmt::join(names, ", "), name));
}

}  // namespace

Expected<void> StorageChoice::Validate() const {
  if (auto known = MustBeIn(kArithmetics, "arithmetic", arithmetic); !known) return known;
  if (auto known = MustBeIn(kWeights, "weights", weights); !known) return known;
  if (arithmetic != "bfloat16" || weights == "auto" || weights == "bfloat16") return {};
  return Fail(ErrorKind::kBadInput,
              "weights",
              fmt::format("must be bfloat16 or auto with arithmetic bfloat16, got {}", weights));
}

}  // namespace dashf::train
