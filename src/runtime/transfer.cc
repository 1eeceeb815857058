#include "runtime/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace dashf::runtime {

Announced Announce(std::string_view artefact) {
  return {artefact.size(), Sha256Hex(artefact)};
}

bool ChunkSource::Next(ChunkView* chunk) {
  while (artefact_ < artefacts_.size() && offset_ == artefacts_[artefact_].size()) {
    ++artefact_;
    offset_ = 0;
  }
  if (artefact_ == artefacts_.size()) return false;
  const std::string_view data = artefacts_[artefact_].substr(offset_, kChunkBytesMax);
  *chunk = {artefact_, offset_, data, Crc32c(data)};
  offset_ += data.size();
  return true;
}

Expected<Assembly> Assembly::Begin(std::vector<Announced> announced,
                                   std::size_t count,
                                   std::uint64_t bytes_max) {
  if (announced.size() != count) {
    return Fail(ErrorKind::kBadInput,
                "transfer",
                fmt::format("must announce {} artefacts, got {}", count, announced.size()));
  }
  for (const Announced& artefact : announced) {
    if (artefact.bytes <= bytes_max) continue;
    return Fail(
        ErrorKind::kBadInput,
        "transfer",
        fmt::format(
            "an artefact must have at most {} bytes, announced are {}", bytes_max, artefact.bytes));
  }
  return Assembly(std::move(announced));
}

Expected<void> Assembly::Add(const ChunkView& chunk) {
  const auto refuse = [&](const std::string& rule) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("transfer: artefact {}, offset {}", chunk.artefact, chunk.offset),
                rule);
  };
  if (chunk.artefact >= received_.size()) return refuse("no such artefact was announced");
  if (chunk.data.empty() || chunk.data.size() > kChunkBytesMax) {
    return refuse(
        fmt::format("a chunk must have 1 to {} bytes, got {}", kChunkBytesMax, chunk.data.size()));
  }
  std::string& bytes = received_[chunk.artefact];
  if (chunk.offset != bytes.size()) {
    return refuse(fmt::format("expected offset {}", bytes.size()));
  }
  if (chunk.data.size() > announced_[chunk.artefact].bytes - bytes.size()) {
    return refuse(
        fmt::format("runs past the announced {} bytes", announced_[chunk.artefact].bytes));
  }
  if (Crc32c(chunk.data) != chunk.crc32c) return refuse("the CRC-32C does not match");
  bytes.append(chunk.data);
  bytes_ += chunk.data.size();
  return {};
}

Expected<std::vector<std::string>> Assembly::Finish() && {
  for (std::size_t i = 0; i < received_.size(); ++i) {
    const std::string where = fmt::format("transfer: artefact {}", i);
    if (received_[i].size() != announced_[i].bytes) {
      return Fail(
          ErrorKind::kBadInput,
          where,
          fmt::format("ended after {} of {} bytes", received_[i].size(), announced_[i].bytes));
    }
    if (Sha256Hex(received_[i]) != announced_[i].sha256) {
      return Fail(ErrorKind::kBadInput, where, "the SHA-256 does not match");
    }
  }
  return std::move(received_);
}

}  // namespace dashf::runtime
