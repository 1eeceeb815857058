// Memory or scratch space that cannot be had is an error like any other. Internal.
#pragma once

#include <filesystem>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"

namespace dashf::train {

// Runs f() -> Expected<T>; std::bad_alloc becomes kNumerical, a file system that refuses kIo.
template <class F>
auto WithinMemory(std::string where, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kNumerical, std::move(where), "there is not enough memory");
  } catch (const std::filesystem::filesystem_error& refused) {
    return Fail(ErrorKind::kIo,
                refused.path1().string(),
                "cannot hold the hidden states: " + refused.code().message());
  }
}

}  // namespace dashf::train
