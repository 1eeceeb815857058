#include "runtime/compute_gate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace dashf::runtime {
namespace {

// How long a free turn may go unnoticed: small against a phase, cheap to ask.
constexpr std::chrono::milliseconds kPollInterval(10);

}  // namespace

Expected<ComputeTurn> ComputeTurn::Take(const std::filesystem::path& folder, int turns) {
  if (folder.empty()) return ComputeTurn(-1);
  for (;;) {
    for (int turn = 0; turn < turns; ++turn) {
      auto taken = Try(folder / fmt::format("turn-{}.lock", turn));
      if (!taken) return tl::unexpected(taken.error());
      if (*taken) return std::move(**taken);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

Expected<std::optional<ComputeTurn>> ComputeTurn::Try(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return Fail(ErrorKind::kIo, path.string(), std::strerror(errno));
  ComputeTurn turn(file);
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return std::optional<ComputeTurn>(std::move(turn));
  if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<ComputeTurn>();
  return Fail(ErrorKind::kIo, path.string(), std::strerror(errno));
}

ComputeTurn::ComputeTurn(ComputeTurn&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

ComputeTurn& ComputeTurn::operator=(ComputeTurn&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

ComputeTurn::~ComputeTurn() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace dashf::runtime
