#include "cli/train/weights_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "train/compute.h"

namespace dashf::cli {
namespace {

// In the order of llama::Format.
const std::vector<std::string> kNames = {"float32", "bfloat16", "int8", "nf4"};

}  // namespace

void AddWeightsOption(CLI::App* verb, std::string* weights) {
  verb->add_option("--weights",
                   *weights,
                   "Hold the base's in 32, 16, 8 or 4 bits; fewer take less memory and are rounded "
                   "(default: float32, or as --arithmetic needs them)")
      ->check(CLI::IsMember(kNames));
}

Expected<llama::Storage> StorageFor(const std::string& weights, const std::string& arithmetic) {
  const bool halves = weights.empty() || weights == "bfloat16";
  if (!halves && arithmetic == "bfloat16") {
    return Fail(ErrorKind::kUsage,
                "--weights",
                fmt::format("must be bfloat16 with --arithmetic bfloat16, got {}", weights));
  }
  // Other weights leave `auto` float32 alone.
  const auto computed = train::ArithmeticNamed("--arithmetic", halves ? arithmetic : "float32");
  if (!computed) return tl::unexpected(computed.error());
  if (weights.empty()) return train::StorageFor(*computed);
  const auto at = std::ranges::find(kNames, weights) - kNames.begin();
  llama::Storage storage = llama::StorageOf(static_cast<llama::Format>(at));
  storage.arithmetic = *computed;
  return storage;
}

const char* Name(llama::Format format) {
  return kNames.at(static_cast<std::size_t>(format)).c_str();
}

}  // namespace dashf::cli
