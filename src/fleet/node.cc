#include "fleet/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/printable.h"

namespace dashf::fleet {

std::string Name(const NodeId& node) {
  switch (node.role) {
    case Role::kCoordinator:
      return "coordinator";
    case Role::kServer:
      return "server/" + node.id;
    case Role::kUser:
      return "user/" + node.id;
    case Role::kOperator:
      return "operator/" + node.id;
  }
  return "";
}

std::optional<NodeId> ParseName(std::string_view name) {
  if (name == "coordinator") return CoordinatorNode();
  constexpr std::string_view kServer = "server/", kUser = "user/", kOperator = "operator/";
  if (name.starts_with(kServer)) return ServerNode(std::string(name.substr(kServer.size())));
  if (name.starts_with(kUser)) return UserNode(std::string(name.substr(kUser.size())));
  if (name.starts_with(kOperator)) return OperatorNode(std::string(name.substr(kOperator.size())));
  return std::nullopt;
}

std::string HostName(const NodeId& node) {
  switch (node.role) {
    case Role::kCoordinator:
      return "coordinator.dashf";
    case Role::kServer:
      return node.id + ".server.dashf";
    case Role::kUser:
      return node.id + ".user.dashf";
    case Role::kOperator:
      return node.id + ".operator.dashf";
  }
  return "";
}

std::string FileStem(const NodeId& node) {
  std::string stem = Name(node);
  std::replace(stem.begin(), stem.end(), '/', '-');
  return stem;
}

Expected<void> CheckId(const std::string& where, std::string_view id) {
  const bool sound = !id.empty() && id.size() <= 48 && id.front() != '-' &&
                     std::all_of(id.begin(), id.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-';
                     });
  if (sound) return {};
  return Fail(ErrorKind::kBadInput,
              where,
              fmt::format("must be 1 to 48 letters, digits and hyphens to name a node, got '{}'",
                          PrintableLine(id.substr(0, 64))));
}

}  // namespace dashf::fleet
