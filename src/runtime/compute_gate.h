// Turns at the processor. Nodes that share a machine train one per core, so that the times they
// measure are those of an unshared core. A turn is a file lock: the kernel gives it back when its
// holder dies.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"

namespace dashf::runtime {

class ComputeTurn {
 public:
  // Waits for one of `turns` >= 1 locks in `folder`. An empty folder means a machine of one's own:
  // the turn is granted at once. kIo if the folder cannot be used.
  static Expected<ComputeTurn> Take(const std::filesystem::path& folder, int turns);

  ComputeTurn(ComputeTurn&& other) noexcept;
  ComputeTurn& operator=(ComputeTurn&& other) noexcept;
  ~ComputeTurn();

 private:
  explicit ComputeTurn(int file) : file_(file) {}
  static Expected<std::optional<ComputeTurn>> Try(const std::filesystem::path& path);

  int file_ = -1;
};

}  // namespace dashf::runtime
