// Artefacts in chunks. The sender cuts, the receiver puts together and believes nothing: sizes are
// checked against a limit before memory is taken, each chunk's CRC-32C and place as it comes, the
// whole artefact's SHA-256 at the end. No I/O here; streams are the shells' business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf::runtime {

inline constexpr std::uint64_t kChunkBytesMax = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kArtefactBytesMax = std::uint64_t{256} << 20;

struct Announced {  // What the other side says is coming.
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct ChunkView {
  std::uint32_t artefact = 0;  // Index into the announced list.
  std::uint64_t offset = 0;
  std::string_view data;
  std::uint32_t crc32c = 0;
};

Announced Announce(std::string_view artefact);

// Chunks of all artefacts, in order; empty artefacts give none. `artefacts` must outlive it.
class ChunkSource {
 public:
  explicit ChunkSource(std::vector<std::string_view> artefacts)
      : artefacts_(std::move(artefacts)) {}
  bool Next(ChunkView* chunk);

 private:
  std::vector<std::string_view> artefacts_;
  std::uint32_t artefact_ = 0;
  std::uint64_t offset_ = 0;
};

class Assembly {
 public:
  // kBadInput if there are not `count` artefacts or one is larger than `bytes_max`.
  static Expected<Assembly> Begin(std::vector<Announced> announced,
                                  std::size_t count,
                                  std::uint64_t bytes_max = kArtefactBytesMax);

  Expected<void> Add(const ChunkView& chunk);  // kBadInput: gap, overrun, oversize, wrong checksum.
  std::uint64_t bytes() const { return bytes_; }
  // The artefacts, if every byte is there and every digest is right.
  Expected<std::vector<std::string>> Finish() &&;

 private:
  explicit Assembly(std::vector<Announced> announced)
      : announced_(std::move(announced)), received_(announced_.size()) {}

  std::vector<Announced> announced_;
  std::vector<std::string> received_;
  std::uint64_t bytes_ = 0;
};

}  // namespace dashf::runtime
