#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "base/descriptor.h"

namespace dashf {
namespace {

tl::unexpected<Error> IoError(const std::filesystem::path& path, std::string_view action) {
  return Fail(ErrorKind::kIo,
              path.string(),
              fmt::format("cannot {}: {}", action, std::generic_category().message(errno)));
}

constexpr std::size_t kBlockBytes = std::size_t{1} << 16;

// Where a path leads through its links: to a file, or to what this process already has open.
struct Target {
  std::filesystem::path path;
  int descriptor = -1;  // >= 0: "/dev/stdout" and its like.
};

Target TargetOf(std::filesystem::path path) {
  constexpr int kLinksMax = 40;
  const auto is_number = [](const std::string& name) {
    return !name.empty() && name.size() < 6 &&
           name.find_first_not_of("0123456789") == std::string::npos;
  };
  for (int i = 0; i < kLinksMax; ++i) {
    const std::filesystem::path folder = path.parent_path();
    if ((folder == "/proc/self/fd" || folder == "/dev/fd") && is_number(path.filename().string())) {
      return {path, std::stoi(path.filename().string())};
    }
    std::error_code none;
    const std::filesystem::path next = std::filesystem::read_symlink(path, none);
    if (none) break;
    path = next.is_absolute() ? next : folder / next;
  }
  return {std::move(path)};
}

// Pipes, terminals and devices: what there is to write into, and not to put a file in the place of.
bool IsStream(const std::filesystem::path& path) {
  std::error_code unknown;
  const auto type = std::filesystem::status(path, unknown).type();
  using Type = std::filesystem::file_type;
  return type == Type::fifo || type == Type::character || type == Type::block ||
         type == Type::socket;
}

std::string NameBeside(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}.{}.{}.tmp", path.string(), ::getpid(), counter.fetch_add(1));
}

// A file without a name in the folder, which ends with the process whatever ends it, to be named by
// what /proc calls it; none on file systems that have no such files.
Descriptor OpenUnnamed(const std::filesystem::path& folder) {
  if (::access("/proc/self/fd", X_OK) != 0) return Descriptor(-1);
  return Descriptor(
      ::open(folder.empty() ? "." : folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644));
}

// A whole file, which goes if it is not moved to its place: without a name, or beside the place
// where there must be one; or bytes for a stream.
class Written {
 public:
  Written(std::filesystem::path path, std::string beside)
      : path_(std::move(path)), beside_(std::move(beside)) {}
  Written(std::filesystem::path path, Descriptor unnamed)
      : path_(std::move(path)), descriptor_(std::move(unnamed)) {}
  Written(std::filesystem::path path, Descriptor stream, std::string_view bytes)
      : path_(std::move(path)), descriptor_(std::move(stream)), is_stream_(true), bytes_(bytes) {}
  Written(Written&& other) noexcept
      : path_(std::move(other.path_)),
        beside_(std::exchange(other.beside_, {})),
        descriptor_(std::move(other.descriptor_)),
        is_stream_(other.is_stream_),
        bytes_(other.bytes_) {}
  ~Written() {
    if (!beside_.empty()) ::unlink(beside_.c_str());
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  Expected<void> MoveInPlace() {
    if (is_stream_) {
      const bool done = WriteAll(descriptor_.get(), bytes_) && descriptor_.Close() == 0;
      return done ? Expected<void>() : IoError(path_, "write");
    }
    if (descriptor_.get() >= 0) {
      if (GiveName(path_)) return {};
      std::string beside = NameBeside(path_);  // For as long as one file takes another's place.
      if (errno != EEXIST || !GiveName(beside)) return IoError(path_, "write");
      beside_ = std::move(beside);
    }
    if (::rename(beside_.c_str(), path_.c_str()) != 0) return IoError(path_, "write");
    beside_.clear();
    return {};
  }

 private:
  bool GiveName(const std::filesystem::path& name) {
    const std::string from = fmt::format("/proc/self/fd/{}", descriptor_.get());
    return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }

  std::filesystem::path path_;
  std::string beside_;
  Descriptor descriptor_{-1};
  bool is_stream_ = false;
  std::string_view bytes_;
};

Expected<void> MakeParent(const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (!error) return {};
  return Fail(ErrorKind::kIo,
              path.parent_path().string(),
              fmt::format("cannot make the folder: {}", error.message()));
}

Expected<Written> OpenStream(const Target& target, std::string_view bytes) {
  Descriptor stream(target.descriptor >= 0 ? ::fcntl(target.descriptor, F_DUPFD_CLOEXEC, 0)
                                           : ::open(target.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (stream.get() < 0) return IoError(target.path, "write");
  return Written(target.path, std::move(stream), bytes);
}

Expected<Written> WriteBeside(const std::filesystem::path& given, std::string_view bytes) {
  const Target target = TargetOf(given);
  const std::filesystem::path& path = target.path;
  if (target.descriptor >= 0 || IsStream(path)) return OpenStream(target, bytes);
  if (auto made = MakeParent(path); !made) return tl::unexpected(made.error());
  std::error_code unknown;  // Then writing tells.
  if (std::filesystem::is_directory(path, unknown)) {
    errno = EISDIR;
    return IoError(path, "write");
  }
  if (Descriptor file = OpenUnnamed(path.parent_path()); file.get() >= 0) {
    if (!WriteAll(file.get(), bytes) || ::fsync(file.get()) != 0) return IoError(path, "write");
    return Written(path, std::move(file));
  }
  std::string beside = NameBeside(path);
  Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return IoError(path, "write");
  Written written(path, std::move(beside));
  if (!WriteAll(file.get(), bytes) || ::fsync(file.get()) != 0 || file.Close() != 0) {
    return IoError(path, "write");
  }
  return written;
}

}  // namespace

struct FileBlocks::State {
  std::filesystem::path path;
  Descriptor file;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t bytes_read = 0;
  std::vector<char> block = std::vector<char>(kBlockBytes);
};

Expected<FileBlocks> FileBlocks::Open(const std::filesystem::path& path, std::uint64_t bytes_max) {
  FileBlocks blocks;
  blocks.state_ = std::make_unique<State>(
      State{.path = path, .file = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))});
  State& state = *blocks.state_;
  if (state.file.get() < 0) return IoError(path, "open");
  struct stat status {};
  if (::fstat(state.file.get(), &status) != 0) return IoError(path, "stat");
  if (S_ISDIR(status.st_mode)) {
    return Fail(ErrorKind::kIo, path.string(), "cannot read: it is a folder");
  }
  if (S_ISREG(status.st_mode)) state.bytes = static_cast<std::uint64_t>(status.st_size);
  state.bytes_max = bytes_max;
  if (state.bytes > bytes_max) {
    return Fail(ErrorKind::kBadInput,
                path.string(),
                fmt::format("must be at most {} bytes, has {}", bytes_max, state.bytes));
  }
  return blocks;
}

Expected<std::string_view> FileBlocks::Next() {
  ssize_t n = -1;
  do {
    n = ::read(state_->file.get(), state_->block.data(), state_->block.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return IoError(state_->path, "read");
  state_->bytes_read += static_cast<std::uint64_t>(n);
  if (state_->bytes_read > state_->bytes_max) {
    return Fail(ErrorKind::kBadInput,
                state_->path.string(),
                fmt::format("must be at most {} bytes, is larger", state_->bytes_max));
  }
  return std::string_view(state_->block.data(), static_cast<std::size_t>(n));
}

std::uint64_t FileBlocks::bytes() const {
  return state_->bytes;
}

Expected<std::string> ReadFile(const std::filesystem::path& path, std::uint64_t bytes_max) {
  auto blocks = FileBlocks::Open(path, bytes_max);
  if (!blocks) return tl::unexpected(blocks.error());
  std::string bytes;
  bytes.reserve(blocks->bytes());
  for (;;) {
    const auto block = blocks->Next();
    if (!block) return tl::unexpected(block.error());
    if (block->empty()) return bytes;
    bytes += *block;
  }
}

Expected<void> WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  const FileBytes file{path, bytes};
  return WriteFilesAtomically({&file, 1});
}

Expected<void> WriteFilesAtomically(std::span<const FileBytes> files) {
  std::vector<Written> written;
  written.reserve(files.size());
  for (const auto& [path, bytes] : files) {
    auto beside = WriteBeside(path, bytes);
    if (!beside) return tl::unexpected(beside.error());
    written.push_back(std::move(*beside));
  }
  for (Written& file : written) {
    if (auto moved = file.MoveInPlace(); !moved) return moved;
  }
  return {};
}

}  // namespace dashf
