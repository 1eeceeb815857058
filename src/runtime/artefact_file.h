// Artefacts on disk, one after the other in one file behind a line that announces them. A file that
// grows by checked chunks survives its process and takes its name only when every byte is there,
// every digest is right and the disk has it.
//
//   NAME        whole
//   NAME.part   what has come so far
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/digest.h"
#include "base/error.h"
#include "runtime/spent.h"
#include "runtime/transfer.h"

namespace dashf::runtime {

// How an artefact came to be: from what, and what it cost.
struct Origin {
  std::vector<Announced> made_from;  // Empty: it was sent, not made.
  Spent spent = {};

  friend bool operator==(const Origin&, const Origin&) = default;
};

// A whole file. Reading goes on after the file has been removed.
class ArtefactFile {
 public:
  // kIo if it cannot be read, kBadInput if it is no such file or not whole.
  static Expected<ArtefactFile> Open(const std::filesystem::path& path);
  // Down to the disk, whole or not at all. kBadInput if it is larger than an artefact may be.
  static Expected<void> Write(const std::filesystem::path& path,
                              std::string_view artefact,
                              const Origin& origin);

  const std::vector<Announced>& announced() const { return announced_; }
  const Origin& origin() const { return origin_; }
  std::uint64_t bytes() const { return TotalBytes(announced_); }
  // kIo; kBadInput if the digest is not the announced one.
  Expected<std::string> Read(std::size_t artefact) const;
  // `into.size()` bytes from byte `offset` on, counted over all artefacts; they must be there.
  Expected<void> ReadAt(std::uint64_t offset, std::span<char> into) const;

 private:
  ArtefactFile() = default;

  std::filesystem::path path_;
  std::shared_ptr<const Descriptor> file_;
  std::vector<Announced> announced_;
  Origin origin_;
  std::uint64_t begin_ = 0;  // Of the first artefact in the file.
};

class IncomingFile {
 public:
  // Goes on from what has come of exactly these artefacts; what has come of others is dropped. kIo.
  static Expected<IncomingFile> Open(std::filesystem::path path, std::vector<Announced> announced);
  // Goes on from whatever has come; none if nothing usable has.
  static std::optional<IncomingFile> Reopen(std::filesystem::path path);

  const std::vector<Announced>& announced() const { return announced_; }
  std::uint64_t bytes() const { return bytes_; }  // Of all artefacts, that are there.
  bool complete() const { return bytes_ == TotalBytes(announced_); }

  // The next chunk. kBadInput: gap, overrun, oversize, wrong checksum; or a wrong digest, and then
  // nothing of what has come is kept. kIo: what was there before the chunk still is.
  Expected<void> Add(const ChunkView& chunk);
  // Gives the file its name. kBadInput if it is not complete; kIo.
  Expected<void> Finish();

 private:
  IncomingFile(std::filesystem::path path, std::vector<Announced> announced, Descriptor file)
      : path_(std::move(path)), announced_(std::move(announced)), file_(std::move(file)) {}
  Expected<void> BeginAnew();
  Expected<void> TakeWhatIsThere(std::uint64_t bytes);
  // Goes to the artefact that comes next, past those that are whole.
  Expected<void> Advance();

  std::filesystem::path path_;
  std::vector<Announced> announced_;
  Descriptor file_;
  std::uint64_t begin_ = 0;  // Of the first artefact in the file.
  std::uint64_t bytes_ = 0;
  std::size_t artefact_ = 0;  // The one that comes next, and what is there of it.
  std::uint64_t offset_ = 0;
  Sha256 digest_;
};

// Down to the disk: the names of what a folder holds.
Expected<void> SyncFolder(const std::filesystem::path& folder);

}  // namespace dashf::runtime
