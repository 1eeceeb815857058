// How many files and connections a process may have open.
#pragma once

#include "base/error.h"

namespace dashf::runtime {

// To as many as the kernel lets this user have (the hard limit of `ulimit -n`).
void RaiseDescriptorLimit();

// kIo once none is left: a port that has met that limit takes no connection any more, even when
// others have ended (gRPC 1.51), so a process that others connect to must be started again.
Expected<void> CheckDescriptorsLeft();

}  // namespace dashf::runtime
