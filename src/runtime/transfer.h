// Artefacts in chunks. The sender cuts from wherever the receiver stands; artefacts follow each
// other in their announced order, so that one number says how far a transfer is. No I/O here.
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
  std::string sha256;  // 64 lower-case hexadecimal digits.

  friend bool operator==(const Announced&, const Announced&) = default;
};

struct ChunkView {
  std::uint32_t artefact = 0;  // Index into the announced list.
  std::uint64_t offset = 0;    // Within the artefact.
  std::string_view data;
  std::uint32_t crc32c = 0;
};

Announced Announce(std::string_view artefact);
std::uint64_t TotalBytes(const std::vector<Announced>& announced);

// kBadInput if there are not `count` artefacts, one is larger than `bytes_max` or no digest is one.
Expected<void> CheckAnnounced(const std::vector<Announced>& announced,
                              std::size_t count,
                              std::uint64_t bytes_max = kArtefactBytesMax);

// How many bytes a chunk should have, by how long the last one took: small where the link is slow,
// so that what a break costs is small, and large where the cost per chunk is what counts.
class ChunkSize {
 public:
  static constexpr std::uint64_t kMin = std::uint64_t{4} << 10;

  std::uint64_t bytes() const { return bytes_; }
  void Took(double elapsed_s) {  // Of the last chunk.
    if (elapsed_s < kFastS && bytes_ < kChunkBytesMax) bytes_ *= 2;
    if (elapsed_s > kSlowS && bytes_ > kMin) bytes_ /= 2;
  }

 private:
  static constexpr double kFastS = 0.02, kSlowS = 0.25;
  std::uint64_t bytes_ = kMin;  // So that a link that keeps breaking gets somewhere.
};

// The chunks of all artefacts, in order; empty artefacts give none. `artefacts` must outlive it.
class ChunkSource {
 public:
  // From byte `begin` on, counted over all artefacts; at most all bytes.
  explicit ChunkSource(std::vector<std::string_view> artefacts, std::uint64_t begin = 0);
  bool Next(ChunkView* chunk, std::uint64_t bytes_max = kChunkBytesMax);

 private:
  std::vector<std::string_view> artefacts_;
  std::uint32_t artefact_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace dashf::runtime
