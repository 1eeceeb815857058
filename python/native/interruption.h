// Long work that Ctrl-C ends.
#pragma once

#include <functional>

namespace dashf::python {

// Runs `work` on a thread of its own without the interpreter's lock, which the caller has. A
// KeyboardInterrupt that Python raises meanwhile stops the searches of this process, which end with
// what they have: true is returned. Any other exception of a signal's handler does so, too, and is
// raised, as is what `work` throws.
bool RunInterruptibly(const std::function<void()>& work);

}  // namespace dashf::python
