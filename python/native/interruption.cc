#include "interruption.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

namespace nb = nanobind;

namespace dashf::python {
namespace {

constexpr std::chrono::milliseconds kLook{50}, kLookAtEnd{2};

std::atomic<bool> ending{false};
std::atomic<int> unlocked{0};

// What a signal's handler had to say; without the lock.
class Signals {
 public:
  explicit Signals(OwnStop* stop) : stop_(stop) {}
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
    stop_->Stop();
  }
  bool interrupted() const { return interrupted_; }
  std::optional<nb::python_error>& raised() { return raised_; }

 private:
  OwnStop* stop_;
  bool interrupted_ = false;
  std::optional<nb::python_error> raised_;
};

}  // namespace

Unlocked::Counted::Counted() {
  ++unlocked;
  if (!ending) return;
  --unlocked;
  throw std::runtime_error("dashf plans nothing more: the interpreter is ending");
}

Unlocked::Counted::~Counted() {
  --unlocked;
}

void SharedStop::Obey() const {
  thread_local std::shared_ptr<OwnStop> obeyed;
  obeyed = stop_;
  stop_in_force = obeyed.get();
}

void ForgetThreadsInForks() {
  pthread_atfork(nullptr, nullptr, [] { unlocked = 0; });
}

void EndSearches() {
  ending = true;
  StopSearches();
  const nb::gil_scoped_release release;
  while (unlocked > 0) std::this_thread::sleep_for(kLookAtEnd);
}

bool RunInterruptibly(const std::function<void()>& work) {
  const Stopwatch watch;
  OwnStop stop;
  stop.around = stop_in_force;
  Signals signals(&stop);
  std::exception_ptr thrown;
  {
    const Unlocked without_lock;
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    std::jthread worker([&] {
      stop_in_force = &stop;
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
  return signals.interrupted() || std::isinf(watch.ElapsedS());
}

}  // namespace dashf::python
