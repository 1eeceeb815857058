#include "runtime/work.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "base/printable.h"
#include "train/checkpoint.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownBytesMax = 64;  // Of what a peer says.
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 40;

bool IsText(const std::string& name) {
  return name.starts_with("tokenizer") || name.starts_with("chat_template") ||
         name == "special_tokens_map.json" || name == "vocab.json" || name == "merges.txt";
}

// Names and bytes of those files, in the names' order; a file's place on the disk does not count.
Expected<std::string> Digest(const std::vector<fs::path>& files) {
  Sha256 sha;
  for (const fs::path& path : files) {
    sha.Add(path.filename().string() + "\n");
    auto blocks = FileBlocks::Open(path, kBytesMax);
    if (!blocks) return tl::unexpected(blocks.error());
    for (;;) {
      const auto block = blocks->Next();
      if (!block) return tl::unexpected(block.error());
      if (block->empty()) break;
      sha.Add(*block);
    }
  }
  return sha.Hex();
}

}  // namespace

Expected<v1::Work> WorkOf(const NodeConfig& config) {
  const auto model_sha256 = train::ModelDigest(config.model_folder);
  if (!model_sha256) return tl::unexpected(model_sha256.error());
  // A GGUF file has its text in itself.
  std::vector<fs::path> text;
  if (fs::is_directory(config.model_folder)) {
    for (const auto& entry : fs::directory_iterator(config.model_folder)) {
      if (IsText(entry.path().filename().string())) text.push_back(entry.path());
    }
  }
  std::sort(text.begin(), text.end());
  const auto text_sha256 = Digest(text);
  if (!text_sha256) return tl::unexpected(text_sha256.error());
  v1::Work work;
  work.set_protocol(kProtocol);
  work.set_build(DASHF_VERSION);
  work.set_model_sha256(*model_sha256);
  work.set_text_sha256(*text_sha256);
  work.set_settings(WriteTrainingSettings(config.training));
  return work;
}

std::string Difference(const v1::Work& wanted, const v1::Work& offered) {
  const auto differ = [](std::string_view what, const auto& ours, const auto& theirs) {
    return fmt::format("{}: the fleet has {}, this node {}", what, ours, theirs);
  };
  if (wanted.protocol() != offered.protocol()) {
    return differ("protocol", wanted.protocol(), offered.protocol());
  }
  if (wanted.build() != offered.build()) {
    return differ("version of dashf",
                  wanted.build(),
                  PrintableLine(Clipped(offered.build(), kShownBytesMax)));
  }
  const auto start = [](const std::string& digest) { return PrintableLine(digest.substr(0, 12)); };
  if (wanted.model_sha256() != offered.model_sha256()) {
    return differ(
        "base model (SHA-256)", start(wanted.model_sha256()), start(offered.model_sha256()));
  }
  if (wanted.text_sha256() != offered.text_sha256()) {
    return differ("tokenizer and chat template (SHA-256)",
                  start(wanted.text_sha256()),
                  start(offered.text_sha256()));
  }
  return "";
}

}  // namespace dashf::runtime
