// The scenario as its nodes report it: what a device can do is the device's to say, what lies
// between devices (gains, noise, objective) is the coordinator's own knowledge. Pure.
#pragma once

#include "base/error.h"
#include "dashf.pb.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// Both put a node's report into `scenario`, which knows the node. kBadInput names the node and the
// rule if a number is out of range or the split profile is not one of `layers` layers.
Expected<void> ApplyReport(const std::string& user,
                           const v1::UserCapabilities& report,
                           int layers,
                           Scenario* scenario);
Expected<void> ApplyReport(const std::string& server,
                           const v1::ServerCapabilities& report,
                           Scenario* scenario);

}  // namespace dashf::runtime
