// A network's size as benchmarks are given it: USERSxSERVERS.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "base/error.h"

namespace dashf::cli {

struct Size {
  std::string name;
  int users = 0, servers = 0;
};

// Both >= 1; kUsage otherwise.
inline Expected<Size> ParseSize(const std::string& name) {
  Size size{name};
  const char* end = name.data() + name.size();
  const auto users = std::from_chars(name.data(), end, size.users);
  const bool split = users.ec == std::errc() && users.ptr != end && *users.ptr == 'x';
  if (split) {
    const auto servers = std::from_chars(users.ptr + 1, end, size.servers);
    if (servers.ec == std::errc() && servers.ptr == end && size.users > 0 && size.servers > 0) {
      return size;
    }
  }
  return Fail(ErrorKind::kUsage, "--sizes", fmt::format("must be USERSxSERVERS, got {}", name));
}

}  // namespace dashf::cli
