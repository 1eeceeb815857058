#include "runtime/artefact_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/file.h"
#include "base/json.h"

namespace dashf::runtime {
namespace {

constexpr char kSchema[] = "dashf.artefacts/1";
constexpr std::size_t kHeaderBytesMax = 4096;
constexpr std::size_t kBlockBytes = std::size_t{1} << 18;

tl::unexpected<Error> IoError(const std::filesystem::path& path, std::string_view action) {
  return Fail(ErrorKind::kIo,
              path.string(),
              fmt::format("cannot {}: {}", action, std::generic_category().message(errno)));
}

bool WriteAt(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

// Fewer than asked for only at the file's end; none and errno if it cannot be read.
std::optional<std::size_t> ReadSome(int file, std::span<char> into, std::uint64_t offset) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t n =
        ::pread(file, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return got;
}

using Json = nlohmann::ordered_json;

Json ToJson(const std::vector<Announced>& announced) {
  Json list = Json::array();
  for (const Announced& artefact : announced) {
    list.push_back({{"bytes", artefact.bytes}, {"sha256", artefact.sha256}});
  }
  return list;
}

std::string HeaderOf(const std::vector<Announced>& announced, const Origin& origin) {
  Json header = {{"schema", kSchema},
                 {"artefacts", ToJson(announced)},
                 {"made_from", ToJson(origin.made_from)},
                 {"elapsed_s", origin.spent.elapsed_s},
                 {"cpu_s", origin.spent.cpu_s}};
  if (origin.spent.energy_j) header["energy_j"] = *origin.spent.energy_j;
  return header.dump() + "\n";
}

std::vector<Announced> ReadAnnounced(JsonReader& root, std::string_view key) {
  std::vector<Announced> announced;
  root.ForEach(key, [&](JsonReader artefact) {
    const auto bytes_max = static_cast<std::int64_t>(kArtefactBytesMax);
    const std::int64_t bytes = artefact.Integer("bytes", 0, bytes_max);
    announced.push_back({static_cast<std::uint64_t>(bytes), artefact.String("sha256")});
    artefact.RejectUnknownKeys();
  });
  if (auto sound = CheckAnnounced(announced, announced.size()); !sound) {
    root.Reject(key, sound.error().message);
  }
  return announced;
}

struct Header {
  std::vector<Announced> announced;
  Origin origin;
  std::uint64_t bytes = 0;       // Of the line itself.
  std::uint64_t file_bytes = 0;  // Of the whole file.
};

Expected<Header> ReadHeader(const std::filesystem::path& path, int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return IoError(path, "stat");
  std::array<char, kHeaderBytesMax> buffer{};
  const auto got = ReadSome(file, buffer, 0);
  if (!got) return IoError(path, "read");
  const std::string_view text(buffer.data(), *got);
  const auto end = text.find('\n');
  if (end == std::string_view::npos) {
    return Fail(ErrorKind::kBadInput, path.string(), "has no line that announces its artefacts");
  }
  auto document = JsonDocument::Parse(path.string(), text.substr(0, end));
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (root.String("schema") != kSchema) root.Reject("schema", fmt::format("must be {}", kSchema));
  Header header;
  header.announced = ReadAnnounced(root, "artefacts");
  header.origin = {ReadAnnounced(root, "made_from"),
                   {root.Number("elapsed_s", kNonNegative),
                    root.Number("cpu_s", kNonNegative),
                    root.NumberIfAny("energy_j", kNonNegative)}};
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  header.bytes = end + 1;
  header.file_bytes = static_cast<std::uint64_t>(status.st_size);
  return header;
}

std::filesystem::path PartOf(const std::filesystem::path& path) {
  std::filesystem::path part = path;
  part += ".part";
  return part;
}

}  // namespace

Expected<void> SyncFolder(const std::filesystem::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || ::fsync(opened.get()) != 0) return IoError(folder, "sync");
  return {};
}

Expected<ArtefactFile> ArtefactFile::Open(const std::filesystem::path& path) {
  auto file =
      std::make_shared<const Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file->get() < 0) return IoError(path, "open");
  auto header = ReadHeader(path, file->get());
  if (!header) return tl::unexpected(header.error());
  ArtefactFile opened;
  opened.path_ = path;
  opened.file_ = std::move(file);
  opened.announced_ = std::move(header->announced);
  opened.origin_ = std::move(header->origin);
  opened.begin_ = header->bytes;
  if (const std::uint64_t wanted = header->bytes + opened.bytes(); header->file_bytes != wanted) {
    return Fail(ErrorKind::kBadInput,
                path.string(),
                fmt::format("must have {} bytes, has {}", wanted, header->file_bytes));
  }
  return opened;
}

Expected<void> ArtefactFile::Write(const std::filesystem::path& path,
                                   std::string_view artefact,
                                   const Origin& origin) {
  const std::vector<Announced> announced = {Announce(artefact)};
  if (auto sound = CheckAnnounced(announced, 1); !sound) return sound;
  std::string bytes = HeaderOf(announced, origin);
  bytes += artefact;
  if (auto written = WriteFileAtomically(path, bytes); !written) return written;
  return SyncFolder(path.parent_path());
}

Expected<std::string> ArtefactFile::Read(std::size_t artefact) const {
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < artefact; ++i) offset += announced_.at(i).bytes;
  std::string bytes(announced_.at(artefact).bytes, '\0');
  if (auto read = ReadAt(offset, bytes); !read) return tl::unexpected(read.error());
  if (Sha256Hex(bytes) == announced_[artefact].sha256) return bytes;
  return Fail(ErrorKind::kBadInput,
              path_.string(),
              fmt::format("artefact {} is damaged: the SHA-256 does not match", artefact));
}

Expected<void> ArtefactFile::ReadAt(std::uint64_t offset, std::span<char> into) const {
  const auto got = ReadSome(file_->get(), into, begin_ + offset);
  if (!got) return IoError(path_, "read");
  if (*got == into.size()) return {};
  return Fail(ErrorKind::kBadInput, path_.string(), "has become shorter");
}

Expected<IncomingFile> IncomingFile::Open(std::filesystem::path path,
                                          std::vector<Announced> announced) {
  if (auto there = Reopen(path); there && there->announced_ == announced) {
    return std::move(*there);
  }
  const std::filesystem::path part = PartOf(path);
  Descriptor file(::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return IoError(part, "open");
  IncomingFile incoming(std::move(path), std::move(announced), std::move(file));
  if (auto begun = incoming.BeginAnew(); !begun) return tl::unexpected(begun.error());
  return incoming;
}

std::optional<IncomingFile> IncomingFile::Reopen(std::filesystem::path path) {
  const std::filesystem::path part = PartOf(path);
  Descriptor file(::open(part.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return std::nullopt;
  auto header = ReadHeader(part, file.get());
  if (!header) return std::nullopt;
  const std::uint64_t bytes = header->file_bytes - header->bytes;
  IncomingFile there(std::move(path), std::move(header->announced), std::move(file));
  there.begin_ = header->bytes;
  if (bytes > TotalBytes(there.announced_) || !there.TakeWhatIsThere(bytes)) return std::nullopt;
  return there;
}

Expected<void> IncomingFile::BeginAnew() {
  const std::string header = HeaderOf(announced_, {});
  if (::ftruncate(file_.get(), 0) != 0 || !WriteAt(file_.get(), header, 0)) {
    return IoError(PartOf(path_), "write");
  }
  begin_ = header.size();
  bytes_ = 0;
  artefact_ = 0;
  offset_ = 0;
  digest_ = Sha256();
  return Advance();
}

// Digests what an earlier process has left.
Expected<void> IncomingFile::TakeWhatIsThere(std::uint64_t bytes) {
  std::vector<char> block(kBlockBytes);
  if (auto begun = Advance(); !begun) return begun;
  while (bytes_ < bytes) {
    const std::uint64_t left = announced_[artefact_].bytes - offset_;
    const std::uint64_t size = std::min({left, bytes - bytes_, std::uint64_t{kBlockBytes}});
    const auto got = ReadSome(file_.get(), {block.data(), size}, begin_ + bytes_);
    if (!got || *got != size) return IoError(PartOf(path_), "read");
    digest_.Add({block.data(), size});
    bytes_ += size;
    offset_ += size;
    if (auto done = Advance(); !done) return done;
  }
  return {};
}

Expected<void> IncomingFile::Advance() {
  while (artefact_ < announced_.size() && offset_ == announced_[artefact_].bytes) {
    if (digest_.Hex() != announced_[artefact_].sha256) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("transfer: artefact {}", artefact_),
                  "the SHA-256 does not match");
    }
    ++artefact_;
    offset_ = 0;
    digest_ = Sha256();
  }
  return {};
}

Expected<void> IncomingFile::Add(const ChunkView& chunk) {
  const auto refuse = [&](const std::string& rule) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("transfer: artefact {}, offset {}", chunk.artefact, chunk.offset),
                rule);
  };
  if (chunk.artefact >= announced_.size()) return refuse("no such artefact was announced");
  if (chunk.data.empty() || chunk.data.size() > kChunkBytesMax) {
    return refuse(
        fmt::format("a chunk must have 1 to {} bytes, got {}", kChunkBytesMax, chunk.data.size()));
  }
  if (chunk.artefact != artefact_ || chunk.offset != offset_) {
    return refuse(fmt::format("expected artefact {}, offset {}", artefact_, offset_));
  }
  if (chunk.data.size() > announced_[artefact_].bytes - offset_) {
    return refuse(fmt::format("runs past the announced {} bytes", announced_[artefact_].bytes));
  }
  if (Crc32c(chunk.data) != chunk.crc32c) return refuse("the CRC-32C does not match");
  if (!WriteAt(file_.get(), chunk.data, begin_ + bytes_)) return IoError(PartOf(path_), "write");
  digest_.Add(chunk.data);
  bytes_ += chunk.data.size();
  offset_ += chunk.data.size();
  const auto advanced = Advance();
  if (advanced) return {};
  if (auto begun = BeginAnew(); !begun) return begun;
  return advanced;
}

Expected<void> IncomingFile::Finish() {
  if (!complete()) {
    return Fail(ErrorKind::kBadInput,
                "transfer",
                fmt::format("ended after {} of {} bytes", bytes_, TotalBytes(announced_)));
  }
  const std::filesystem::path part = PartOf(path_);
  if (::fsync(file_.get()) != 0) {  // What the disk then has of it, nobody knows.
    const auto failed = IoError(part, "sync");
    if (auto begun = BeginAnew(); !begun) return begun;
    return failed;
  }
  if (::rename(part.c_str(), path_.c_str()) != 0) return IoError(part, "rename");
  return SyncFolder(path_.parent_path());
}

}  // namespace dashf::runtime
