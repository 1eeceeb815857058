// Long work that Ctrl-C ends, and what ends with the interpreter.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>

#include "base/termination.h"

namespace dashf::python {

// Without the interpreter's lock, whose end waits for it: a thread that it would take the lock from
// for ever could not leave C++. Once it is ending none begins: RuntimeError.
class Unlocked {
  struct Counted {
    Counted();
    ~Counted();
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
  };
  Counted counted_;  // Until the lock is back.
  nanobind::gil_scoped_release release_;
};

// Runs `work` on a thread of its own without the interpreter's lock, which the caller has. A
// KeyboardInterrupt that Python raises meanwhile stops this call's searches, which end with what
// they have: true is returned, as it is where a stop around the call came. Any other exception of a
// signal's handler stops them, too, and is raised, as is what `work` throws.
bool RunInterruptibly(const std::function<void()>& work);

// Of the searches of several threads of Python's, each of which obeys it from Obey() on.
class SharedStop {
 public:
  SharedStop() { stop_->around = stop_in_force; }
  void Stop() { stop_->Stop(); }
  void Obey() const;

 private:
  std::shared_ptr<OwnStop> stop_ = std::make_shared<OwnStop>();
};

// For atexit: stops every search, and waits until nothing is Unlocked.
void EndSearches();
// What is Unlocked stays behind where a process forks. Once.
void ForgetThreadsInForks();

}  // namespace dashf::python
