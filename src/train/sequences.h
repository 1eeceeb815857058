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

// Where the rows of each example begin if all stand one after the other, and behind the last.
std::vector<std::int64_t> RowBegins(const std::vector<corpus::Example>& examples);

// Tokens of the longest one.
std::int64_t LongestOf(const std::vector<corpus::Example>& examples);

}  // namespace dashf::train
