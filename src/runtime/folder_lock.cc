#include "runtime/folder_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/printable.h"

namespace dashf::runtime {
namespace {

constexpr char kFile[] = "lock";

tl::unexpected<Error> Failed(const std::filesystem::path& path, const std::string& what) {
  return Fail(ErrorKind::kIo, path.string(), what);
}

// What the first wrote: "process 4711, user/u3, since ...".
std::string OwnerIn(int file) {
  std::array<char, 200> text{};
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  if (size <= 0) return "another process";
  return Printable(std::string_view(text.data(), static_cast<std::size_t>(size)));
}

Expected<void> MakePrivate(const std::filesystem::path& folder) {
  std::error_code failed;
  if (std::filesystem::create_directories(folder, failed)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  }
  if (failed) return Failed(folder, failed.message());
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return Failed(folder, fmt::format("may not be written in: {}", std::strerror(errno)));
  }
  return {};
}

}  // namespace

Expected<FolderLock> FolderLock::Take(const std::filesystem::path& folder,
                                      const std::string& owner,
                                      const std::vector<std::filesystem::path>& others) {
  if (const auto made = MakePrivate(folder); !made) return tl::unexpected(made.error());
  const std::filesystem::path path = folder / kFile;
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return Failed(path, std::strerror(errno));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failed(path, std::strerror(errno));
    return Failed(folder, fmt::format("is in use by {}", OwnerIn(file.get())));
  }
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string text = fmt::format(
      "process {}, {}, since {:%Y-%m-%d %H:%M:%S} UTC", ::getpid(), owner, fmt::gmtime(now));
  if (::ftruncate(file.get(), 0) != 0 || !WriteAll(file.get(), text)) {
    return Failed(path, std::strerror(errno));
  }
  for (const auto& other : others) {
    if (other.empty()) continue;
    if (const auto made = MakePrivate(other); !made) return tl::unexpected(made.error());
  }
  return FolderLock(std::move(file));
}

bool FolderLock::OwnerIsThere(const std::filesystem::path& folder) {
  const Descriptor file(::open((folder / kFile).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  constexpr std::string_view kBefore = "process ";
  const std::string text = file.get() < 0 ? "" : OwnerIn(file.get());
  const pid_t owner = text.starts_with(kBefore) ? std::atoi(text.c_str() + kBefore.size()) : 0;
  return owner > 0 && (::kill(owner, 0) == 0 || errno == EPERM);
}

}  // namespace dashf::runtime
