// The fleet's words for its nodes, as the runtime uses them.
#pragma once

#include "fleet/node.h"

namespace dashf::runtime {

using fleet::CheckId;
using fleet::CoordinatorNode;
using fleet::FileStem;
using fleet::HostName;
using fleet::Name;
using fleet::NodeId;
using fleet::OperatorNode;
using fleet::ParseName;
using fleet::Role;
using fleet::ServerNode;
using fleet::UserNode;

}  // namespace dashf::runtime
