// A node's orders (fleet/orders.h) as the wire has them.
#pragma once

#include "dashf.pb.h"
#include "fleet/state.h"
#include "runtime/emulation.h"
#include "runtime/node.h"
#include "runtime/taking_part.h"

namespace dashf::runtime {

v1::Orders OrdersOf(const fleet::State& state,
                    const Deployment& deployment,
                    const Emulation& emulation,
                    const NodeId& node);

}  // namespace dashf::runtime
