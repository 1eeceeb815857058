#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace dashf {
namespace {

tl::unexpected<Error> IoError(const std::filesystem::path& path, std::string_view action) {
  return Fail(ErrorKind::kIo,
              path.string(),
              fmt::format("cannot {}: {}", action, std::generic_category().message(errno)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Expected<std::string> ReadFile(const std::filesystem::path& path, std::uint64_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return IoError(path, "open");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return IoError(path, "stat");
  if (S_ISDIR(status.st_mode)) {
    return Fail(ErrorKind::kIo, path.string(), "cannot read: it is a folder");
  }
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(status.st_size));
  char block[1 << 16];
  for (;;) {
    const ssize_t n = ::read(file.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError(path, "read");
    if (n == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(n));
    if (bytes.size() > bytes_max) {
      return Fail(ErrorKind::kBadInput,
                  path.string(),
                  fmt::format("must be at most {} bytes, is larger", bytes_max));
    }
  }
}

Expected<void> WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  if (path.has_parent_path()) {
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) {
      return Fail(ErrorKind::kIo,
                  path.parent_path().string(),
                  fmt::format("cannot make the folder: {}", error.message()));
    }
  }
  const std::string beside =
      fmt::format("{}.{}.{}.tmp", path.string(), ::getpid(), counter.fetch_add(1));
  Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return IoError(path, "write");
  if (!WriteAll(file.get(), bytes) || ::fsync(file.get()) != 0 || file.Close() != 0 ||
      ::rename(beside.c_str(), path.c_str()) != 0) {
    const auto failure = IoError(path, "write");
    ::unlink(beside.c_str());
    return failure;
  }
  return {};
}

}  // namespace dashf
