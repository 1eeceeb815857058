#include "runtime/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/digest.h"

namespace dashf::runtime {

Announced Announce(std::string_view artefact) {
  return {artefact.size(), Sha256Hex(artefact)};
}

std::uint64_t TotalBytes(const std::vector<Announced>& announced) {
  std::uint64_t total = 0;
  for (const Announced& artefact : announced) total += artefact.bytes;
  return total;
}

Expected<void> CheckAnnounced(const std::vector<Announced>& announced,
                              std::size_t count,
                              std::uint64_t bytes_max) {
  const auto refuse = [](std::string rule) {
    return Fail(ErrorKind::kBadInput, "transfer", std::move(rule));
  };
  if (announced.size() != count) {
    return refuse(fmt::format("must announce {} artefacts, got {}", count, announced.size()));
  }
  for (const Announced& artefact : announced) {
    if (artefact.bytes > bytes_max) {
      return refuse(fmt::format(
          "an artefact must have at most {} bytes, announced are {}", bytes_max, artefact.bytes));
    }
    if (artefact.sha256.size() != 64 ||
        artefact.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return refuse("a SHA-256 must be 64 lower-case hexadecimal digits");
    }
  }
  return {};
}

ChunkSource::ChunkSource(std::vector<std::string_view> artefacts, std::uint64_t begin)
    : artefacts_(std::move(artefacts)), offset_(begin) {
  while (artefact_ < artefacts_.size() && offset_ >= artefacts_[artefact_].size()) {
    offset_ -= artefacts_[artefact_++].size();
  }
  DASHF_CHECK(artefact_ < artefacts_.size() || offset_ == 0);
}

bool ChunkSource::Next(ChunkView* chunk, std::uint64_t bytes_max) {
  while (artefact_ < artefacts_.size() && offset_ == artefacts_[artefact_].size()) {
    ++artefact_;
    offset_ = 0;
  }
  if (artefact_ == artefacts_.size()) return false;
  const std::string_view data = artefacts_[artefact_].substr(offset_, bytes_max);
  *chunk = {artefact_, offset_, data, Crc32c(data)};
  offset_ += data.size();
  return true;
}

}  // namespace dashf::runtime
