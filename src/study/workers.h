// Independent jobs, each in a process of its own forked from this one, so that processor time and
// peak memory are the job's alone and a job that crashes takes nothing with it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/error.h"

namespace dashf::study {

// Calls body(i) for i in 0..count - 1, each in a child, at most `processes` >= 1 at a time, and
// hands what it returned, or why there is nothing, to on_end(i, ...) in this process, in the order
// of their ends. `stopped` is asked several times a second; once it says so, the children are
// killed and the rest is not begun. Children also die with this process. To be called while this
// process has one thread. kIo if a process cannot be started.
Expected<void> RunInChildren(
    std::size_t count,
    int processes,
    const std::function<Expected<std::string>(std::size_t)>& body,
    const std::function<void(std::size_t, const Expected<std::string>&)>& on_end,
    const std::function<bool()>& stopped);

}  // namespace dashf::study
