#include "train/scratch_floats.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace dashf::train {
namespace {

// Closed at the end of the block: a mapping outlives its descriptor.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

[[noreturn]] void Throw(const std::filesystem::path& folder, int reason) {
  throw std::filesystem::filesystem_error(
      "hidden states", folder, std::error_code(reason, std::generic_category()));
}

float* Map(std::size_t bytes, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::string name = (folder / ".dashf-hidden-XXXXXX").string();
  const Descriptor file{::mkostemp(name.data(), O_CLOEXEC)};
  if (file.number < 0) Throw(folder, errno);
  ::unlink(name.c_str());
  // Space that is missing is missed now, not as a signal when a page is written.
  if (const int reason = ::posix_fallocate(file.number, 0, static_cast<off_t>(bytes))) {
    Throw(folder, reason);
  }
  void* const begin =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, /*offset=*/0);
  if (begin == MAP_FAILED) Throw(folder, errno);
  return static_cast<float*>(begin);
}

}  // namespace

ScratchFloats::ScratchFloats(std::int64_t count, const std::filesystem::path& folder) {
  const auto size = static_cast<std::size_t>(count);
  if (folder.empty() || size == 0) {
    memory_.resize(size);
  } else {
    const std::size_t bytes = size * sizeof(float);
    mapped_ = {Map(bytes, folder), Unmap{bytes}};
  }
}

void Unmap::operator()(float* begin) const {
  ::munmap(begin, bytes);
}

}  // namespace dashf::train
