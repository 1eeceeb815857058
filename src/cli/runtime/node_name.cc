#include "cli/runtime/node_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/printable.h"

namespace dashf::cli {
namespace {

using runtime::Role;

const char* FormOf(Role role) {
  switch (role) {
    case Role::kCoordinator:
      return "coordinator";
    case Role::kServer:
      return "server/ID";
    case Role::kUser:
      return "user/ID";
    case Role::kOperator:
      return "operator/NAME";
  }
  return "";
}

// "a, b or c".
std::string Listed(std::initializer_list<Role> roles) {
  std::string text;
  for (const Role* role = roles.begin(); role != roles.end(); ++role) {
    if (role != roles.begin()) text += role + 1 == roles.end() ? " or " : ", ";
    text += FormOf(*role);
  }
  return text;
}

}  // namespace

Expected<runtime::NodeId> NodeNamed(const std::string& text, std::initializer_list<Role> roles) {
  const auto node = runtime::ParseName(text);
  const bool sound = node && std::ranges::find(roles, node->role) != roles.end() &&
                     (node->role == Role::kCoordinator || runtime::CheckId("", node->id));
  if (sound) return *node;
  return Fail(ErrorKind::kUsage,
              "NODE",
              fmt::format("must be {}, an ID of 1 to 48 letters, digits and hyphens, got '{}'",
                          Listed(roles),
                          PrintableLine(Clipped(text, 64))));
}

}  // namespace dashf::cli
