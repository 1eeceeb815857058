#include "interruption.h"

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/termination.h"

namespace nb = nanobind;

namespace dashf::python {
namespace {

constexpr std::chrono::milliseconds kLook{50};

// What a signal's handler had to say; without the lock.
class Signals {
 public:
  void Look() {
    const nb::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() == 0) return;
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
      PyErr_Clear();
      interrupted_ = true;
    } else if (!raised_) {
      raised_.emplace();  // Takes it from the interpreter.
    } else {
      PyErr_Clear();
    }
    StopSearches();
  }
  bool interrupted() const { return interrupted_; }
  std::optional<nb::python_error>& raised() { return raised_; }

 private:
  bool interrupted_ = false;
  std::optional<nb::python_error> raised_;
};

}  // namespace

bool RunInterruptibly(const std::function<void()>& work) {
  Signals signals;
  std::exception_ptr thrown;
  {
    const nb::gil_scoped_release release;
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    std::jthread worker([&] {
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::scoped_lock lock(mutex);
      done = true;
      ended.notify_one();
    });
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, kLook, [&] { return done; })) {
      lock.unlock();
      signals.Look();
      lock.lock();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
  if (signals.raised()) throw nb::python_error(std::move(*signals.raised()));
  return signals.interrupted();
}

}  // namespace dashf::python
