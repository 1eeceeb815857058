// Memory that cannot be had is an error like any other. Internal.
#pragma once

#include <new>
#include <string>
#include <utility>

#include "base/error.h"

namespace dashf::train {

// Runs f() -> Expected<T>; std::bad_alloc becomes kNumerical.
template <class F>
auto WithinMemory(std::string where, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kNumerical, std::move(where), "there is not enough memory");
  }
}

}  // namespace dashf::train
