#include "train/kept_base.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "base/digest.h"
#include "train/compute.h"
#include "train/model.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;

// To be raised with every change of what the numbers mean (llama/stored_matrix.cc) or where they
// lie.
constexpr std::string_view kMagic = "dashf encoded base 1    ";
constexpr std::size_t kDigits = 64;
constexpr std::size_t kHeadBytes = kMagic.size() + kDigits + 1;

std::string Reason() {
  return std::generic_category().message(errno);
}

bool ReadAll(int fd, std::span<char> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// A part at a time that stays in the processor's caches between two uses.
template <class Use>
bool InPieces(std::span<char> bytes, Use use) {
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(kPiece, bytes.size()))) {
    if (!use(bytes.first(std::min(kPiece, bytes.size())))) return false;
  }
  return true;
}

double SecondsSince(const timespec& then) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec - then.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec - then.tv_nsec);
}

// What a file is, from what the file system says of it and from its ends. Whoever writes to it
// moves st_ctim, which nobody can set; its ends tell on file systems that keep time otherwise.
// Empty: it cannot be looked at.
std::string Stamp(const fs::path& path, double* age_s) {
  constexpr off_t kEnd = 1 << 16;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return {};
  Sha256 ends;
  std::string bytes(static_cast<std::size_t>(std::min<off_t>(kEnd, status.st_size)), '\0');
  for (const off_t begin : {off_t{0}, status.st_size - std::ssize(bytes)}) {
    if (::lseek(file.get(), begin, SEEK_SET) != begin || !ReadAll(file.get(), bytes)) return {};
    ends.Add(bytes);
  }
  *age_s = std::min(*age_s, SecondsSince(status.st_ctim));
  return fmt::format("{} {} {} {}.{:09} {}.{:09} {}\n",
                     path.string(),
                     status.st_ino,
                     status.st_size,
                     status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec,
                     status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec,
                     ends.Hex());
}

// Of all files together and of how their numbers are kept; the age is that of the youngest one.
std::string IdentityOf(const std::vector<fs::path>& files,
                       const llama::Storage& storage,
                       double* age_s) {
  std::string all = fmt::format("{} {}\n", Name(storage.projections), Name(storage.tables));
  for (const fs::path& path : files) {
    const std::string stamp = Stamp(path, age_s);
    if (stamp.empty()) return {};
    all += stamp;
  }
  return Sha256Hex(all);
}

std::string Megabytes(const llama::Weights& weights) {
  return fmt::format("{:.0f} MB", static_cast<double>(weights.Bytes()) * 1e-6);
}

// Another user could have written anything.
bool IsOurs(const struct stat& status) {
  return S_ISREG(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
         (status.st_uid == ::geteuid() || status.st_uid == 0);
}

// The rule that the file breaks; empty: none, and *weights are its numbers.
std::string ReadFrom(int fd,
                     const std::string& identity,
                     const llama::Storage& storage,
                     llama::ModelConfig config,
                     std::optional<llama::Weights>* weights) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return "cannot be read";
  if (!IsOurs(status)) return "is not a file that this user alone may write";
  std::string head(kHeadBytes, '\0');
  if (!ReadAll(fd, head) || !head.starts_with(kMagic)) return "is no encoded base of this version";
  if (head.substr(kMagic.size(), kDigits) != identity) return "is of other files than the model's";
  config.tied_embeddings = head.back() == '1';
  // Before anything is allocated.
  const std::size_t size = kHeadBytes + llama::WeightBytes(config, storage) + kDigits;
  if (static_cast<std::size_t>(status.st_size) != size) return "has another length than it must";
  *weights = llama::MakeWeights(config, storage);
  Sha256 digest;
  digest.Add(head);
  for (const std::span<char> part : llama::Parts(&**weights)) {
    const bool read = InPieces(part, [&](std::span<char> piece) {
      const bool whole = ReadAll(fd, piece);
      digest.Add({piece.data(), piece.size()});
      return whole;
    });
    if (!read) return "cannot be read";
  }
  std::string stated(kDigits, '\0');
  if (!ReadAll(fd, stated)) return "cannot be read";
  return stated == digest.Hex() ? "" : "is damaged";
}

bool WriteTo(int fd, const std::string& identity, llama::Weights* weights) {
  const std::string head =
      fmt::format("{}{}{}", kMagic, identity, weights->config.tied_embeddings ? '1' : '0');
  Sha256 digest;
  digest.Add(head);
  if (!WriteAll(fd, head)) return false;
  for (const std::span<char> part : llama::Parts(weights)) {
    const bool written = InPieces(part, [&](std::span<char> piece) {
      const std::string_view bytes(piece.data(), piece.size());
      digest.Add(bytes);
      return WriteAll(fd, bytes);
    });
    if (!written) return false;
  }
  return WriteAll(fd, digest.Hex());
}

// Writes the file beside its place and moves it there, without waiting for the disk: a power cut
// may cost the file, which the digest tells. What a killed process left is written over; a file
// that another process is writing is left to it. The reason why not; empty: done.
std::string WriteAtomically(const fs::path& path,
                            const std::string& identity,
                            llama::Weights* weights) {
  std::error_code refused;
  fs::create_directories(path.parent_path(), refused);
  if (refused) return refused.message();
  const std::string beside = path.string() + ".tmp";
  const Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return Reason();
  struct stat locked {
  }, named{};
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.get(), &locked) != 0 ||
      ::stat(beside.c_str(), &named) != 0 || locked.st_ino != named.st_ino) {
    return "another process is writing it";
  }
  if (::ftruncate(file.get(), 0) == 0 && WriteTo(file.get(), identity, weights) &&
      ::rename(beside.c_str(), path.c_str()) == 0) {
    return {};
  }
  std::string reason = Reason();
  ::unlink(beside.c_str());
  return reason;
}

}  // namespace

fs::path DefaultBaseCache() {
  // The XDG base directory specification has relative folders ignored.
  const auto folder = [](const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr && fs::path(value).is_absolute() ? fs::path(value) : fs::path();
  };
  if (const fs::path cache = folder("XDG_CACHE_HOME"); !cache.empty()) return cache / "dashf";
  const fs::path home = folder("HOME");
  return home.empty() ? home : home / ".cache/dashf";
}

bool IsEncoded(const llama::Storage& storage) {
  const auto encoded = [](llama::Format format) {
    return format == llama::Format::kInt8 || format == llama::Format::kNf4;
  };
  return encoded(storage.projections) && encoded(storage.tables);
}

KeptBase::KeptBase(const fs::path& folder,
                   const fs::path& model,
                   std::vector<fs::path> files,
                   const llama::Storage& storage)
    : files_(std::move(files)), storage_(storage) {
  identity_ = IdentityOf(files_, storage_, &age_s_);
  std::error_code unknown;
  const fs::path place = fs::canonical(model, unknown);
  path_ = folder / fmt::format("{}-{}.base",
                               Name(storage.projections),
                               Sha256Hex(place.string()).substr(0, kDigits / 2));
}

std::optional<llama::Weights> KeptBase::Read(const llama::ModelConfig& config,
                                             std::vector<std::string>* notes) const {
  if (identity_.empty()) return std::nullopt;
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  std::optional<llama::Weights> weights;
  const std::string broken =
      file.get() < 0 ? Reason() : ReadFrom(file.get(), identity_, storage_, config, &weights);
  if (broken.empty()) {
    notes->push_back(fmt::format("base: {}, as {} has it encoded ({})",
                                 Name(storage_.projections),
                                 path_.string(),
                                 Megabytes(*weights)));
    return weights;
  }
  notes->push_back(fmt::format("base: encoded again, for {} {}", path_.string(), broken));
  return std::nullopt;
}

void KeptBase::Keep(const llama::Weights& weights, std::vector<std::string>* notes) const {
  // File systems count time in steps of up to two seconds: a change within one would not show.
  constexpr double kAgeMin_s = 2.0;
  double unused = 0.0;
  std::string reason;
  if (identity_.empty() || IdentityOf(files_, storage_, &unused) != identity_) {
    reason = "the model's files are changing";
  } else if (age_s_ < kAgeMin_s) {
    reason = "the model's files were younger than two seconds";
  } else {
    reason =
        WriteAtomically(path_, identity_, const_cast<llama::Weights*>(&weights));  // Only read.
  }
  if (reason.empty()) {
    notes->push_back(fmt::format("base: {}, kept encoded in {} for the next start ({})",
                                 Name(storage_.projections),
                                 path_.string(),
                                 Megabytes(weights)));
  } else {
    notes->push_back(fmt::format("base: {}, not kept encoded in {}: {}",
                                 Name(storage_.projections),
                                 path_.string(),
                                 reason));
  }
}

}  // namespace dashf::train
