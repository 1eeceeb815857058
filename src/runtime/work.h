// What must be the same on every node for their parts to fit together, and in what two differ.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "dashf.pb.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

inline constexpr std::uint32_t kProtocol = 6;  // Of the messages.

// Digests of the model folder's configuration, weights, tokenizer and chat template; settings.
Expected<v1::Work> WorkOf(const NodeConfig& config);

// Empty if all but the settings agree; else the first difference, for people, by name and both
// values.
std::string Difference(const v1::Work& wanted, const v1::Work& offered);

}  // namespace dashf::runtime
