// The border between libtorch, which throws, and this module's callers, who get values. Internal.
#pragma once

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "base/error.h"
#include "train/compute.h"

namespace dashf::autograd {

// Runs f() -> Expected<T>. libtorch's own errors, memory that it cannot get among them, become
// kNumerical.
template <class F>
auto Guarded(const char* where, F f) -> decltype(f()) {
  at::set_num_threads(train::Threads());  // OpenMP's count belongs to each calling thread.
  try {
    return f();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return Fail(ErrorKind::kNumerical, where, text.substr(0, text.find('\n')));
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kNumerical, where, "there is not enough memory");
  }
}

}  // namespace dashf::autograd
