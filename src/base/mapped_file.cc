#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace dashf {
namespace {

struct Mapping {
  void* address = nullptr;
  std::size_t size = 0;

  Mapping(void* a, std::size_t s) : address(a), size(s) {}
  ~Mapping() { ::munmap(address, size); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
};

tl::unexpected<Error> IoError(const std::string& path, std::string_view action) {
  return Fail(ErrorKind::kIo,
              path,
              fmt::format("cannot {}: {}", action, std::generic_category().message(errno)));
}

}  // namespace

Expected<MappedFile> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return IoError(path, "open");
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  const bool regular = known && S_ISREG(status.st_mode);
  const auto size = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* const address =
      size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int mmap_errno = errno;
  ::close(fd);
  if (known && !regular) return Fail(ErrorKind::kIo, path, "cannot read: it is not a plain file");
  if (known && size == 0) return Of({});
  if (address == MAP_FAILED) {
    errno = mmap_errno;
    return IoError(path, "map");
  }
  MappedFile file;
  file.owner_ = std::make_shared<const Mapping>(address, size);
  file.bytes_ = {static_cast<const char*>(address), size};
  file.mapped_ = true;
  return file;
}

MappedFile MappedFile::Of(std::string bytes) {
  auto owned = std::make_shared<const std::string>(std::move(bytes));
  MappedFile file;
  file.bytes_ = *owned;
  file.owner_ = std::move(owned);
  return file;
}

void MappedFile::Release(std::string_view part) const {
  if (!mapped_ || part.empty()) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size());
  // Whole pages, so neighbours' bytes go too; a failure costs memory alone.
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
}

}  // namespace dashf
