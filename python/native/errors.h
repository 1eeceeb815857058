// The planner's errors as Python's exceptions (python/dashf/errors.py).
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace dashf::python {

// Needs the interpreter's lock.
[[noreturn]] void Raise(const Error& error);
[[noreturn]] inline void RaiseBadInput(std::string where, std::string message) {
  Raise({ErrorKind::kBadInput, std::move(where), std::move(message)});
}

template <class T>
T OrRaise(Expected<T> value) {
  if (!value) Raise(value.error());
  if constexpr (!std::is_void_v<T>) return std::move(*value);
}

}  // namespace dashf::python
