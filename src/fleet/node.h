// Who belongs to a fleet. A node's name ("user/u3", "server/s0", "coordinator") is the common name
// of its certificate, and its host name ("u3.user.dashf") is what TLS checks when others connect to
// it. An operator ("operator/ada") is a person who may ask the coordinator and steer it, no node.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dashf::fleet {

enum class Role { kCoordinator, kServer, kUser, kOperator };

struct NodeId {
  Role role = Role::kUser;
  std::string id;  // Empty for the coordinator.

  friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

inline NodeId CoordinatorNode() {
  return {Role::kCoordinator, ""};
}
inline NodeId ServerNode(std::string id) {
  return {Role::kServer, std::move(id)};
}
inline NodeId UserNode(std::string id) {
  return {Role::kUser, std::move(id)};
}
inline NodeId OperatorNode(std::string id) {
  return {Role::kOperator, std::move(id)};
}

std::string Name(const NodeId& node);
std::optional<NodeId> ParseName(std::string_view name);
std::string HostName(const NodeId& node);
std::string FileStem(const NodeId& node);  // "user-u3", of files and folders of its own.

// An id becomes part of host and folder names: 1 to 48 of [a-z A-Z 0-9 -], not led by '-'.
// kBadInput otherwise, with `where` as the place.
Expected<void> CheckId(const std::string& where, std::string_view id);

}  // namespace dashf::fleet
