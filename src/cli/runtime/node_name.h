// A node's name as somebody types it.
#pragma once

#include <initializer_list>
#include <string>

#include "base/error.h"
#include "runtime/node.h"

namespace dashf::cli {

// "s0" alone says no role. kUsage, with the names that would do, for what names no node of `roles`;
// whether the fleet has such a node is not known here.
Expected<runtime::NodeId> NodeNamed(const std::string& text,
                                    std::initializer_list<runtime::Role> roles);

}  // namespace dashf::cli
