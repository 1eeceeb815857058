// Named places where a test can have a process killed, as by kill -9: set DASHF_FAILPOINT to
// "user/u1:upload" and that node dies when it begins its upload. docs/protocol.md lists them.
#pragma once

#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/node.h"

namespace dashf::runtime {

inline void Failpoint(const NodeId& node, std::string_view place) {
  const char* wanted = std::getenv("DASHF_FAILPOINT");
  if (wanted != nullptr && wanted == Name(node) + ":" + std::string(place)) std::raise(SIGKILL);
}

}  // namespace dashf::runtime
