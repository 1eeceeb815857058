// dashf.node/3: what is accepted is written and read again, and written the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "runtime/node_config.h"

using dashf::runtime::ParseNodeConfig;
using dashf::runtime::Role;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const Role role : {Role::kCoordinator, Role::kServer, Role::kUser}) {
    const auto config = ParseNodeConfig("/f", {reinterpret_cast<const char*>(data), size}, role);
    if (!config) continue;
    const std::string text = WriteNodeConfig(*config);
    const auto again = ParseNodeConfig("/f", text, role);
    DASHF_CHECK(again);
    DASHF_CHECK(WriteNodeConfig(*again) == text);
  }
  return 0;
}
