// What lies in a node's folder beside its node file, certificate and key: the systemd unit that
// keeps the node running, and what to do with the folder; and the latter for an operator's.
#pragma once

#include <string>

#include "runtime/node.h"

namespace dashf::kit {

// Where things lie on the machine that the folder goes to.
struct Target {
  std::string program = "/usr/bin/dashf";
  std::string parent = "/var/lib/dashf";  // The folder's; absolute.
};

std::string UnitName(const runtime::NodeId& node);  // "dashf-user-u3.service"
std::string UnitText(const std::string& fleet, const runtime::NodeId& node, const Target& target);

// `needs`: what the node's owner has to put into the folder, a sentence; may be empty.
std::string ReadmeText(const std::string& fleet,
                       const runtime::NodeId& node,
                       const Target& target,
                       const std::string& needs);

std::string OperatorReadmeText(const std::string& fleet, const runtime::NodeId& who);

}  // namespace dashf::kit
