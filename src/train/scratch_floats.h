// Room for more floats than memory may hold. Internal to this module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace dashf::train {

struct Unmap {
  std::size_t bytes = 0;
  void operator()(float* begin) const;
};

class ScratchFloats {
 public:
  // In memory, or, if a folder is named, in a file there: mapped, so that the kernel may write its
  // pages back and drop them, and without a name, so that it is gone with the process however that
  // ends. All of its disk space is taken at once; missing folders are made. Throws std::bad_alloc
  // or std::filesystem::filesystem_error (within_memory.h turns both into values).
  ScratchFloats(std::int64_t count, const std::filesystem::path& folder);

  float* data() { return mapped_ ? mapped_.get() : memory_.data(); }
  const float* data() const { return mapped_ ? mapped_.get() : memory_.data(); }

 private:
  std::vector<float> memory_;
  std::unique_ptr<float, Unmap> mapped_;
};

}  // namespace dashf::train
