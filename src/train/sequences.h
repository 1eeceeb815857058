// Examples as the engine takes them. Internal to this module.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "corpus/example.h"
#include "llama/packed_batch.h"

namespace dashf::train {

// Those of the examples that are `chosen`, each under its index; they refer to the examples'
// tokens.
std::vector<llama::Sequence> SequencesOf(const std::vector<corpus::Example>& examples,
                                         std::span<const std::size_t> chosen);

// Tokens of the longest one.
std::int64_t LongestOf(const std::vector<corpus::Example>& examples);

}  // namespace dashf::train
