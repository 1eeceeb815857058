#include "base/file_kind.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  std::string_view kind;
  std::string_view command;  // {} is the file.
};

constexpr std::string_view kParquet =
    "python3 -c \"import pandas; pandas.read_parquet('{}').to_json('data.jsonl', "
    "orient='records', lines=True)\"";
constexpr std::string_view kArrow =
    "python3 -c \"import datasets; datasets.Dataset.from_file('{}').to_json('data.jsonl')\"";

// UTF-32 before UTF-16, whose mark begins it.
constexpr Magic kMagics[] = {
    {"\x1F\x8B"sv, "gzip", "gunzip '{}'"},
    {"\x28\xB5\x2F\xFD"sv, "Zstandard", "unzstd '{}'"},
    {"\xFD"
     "7zXZ"sv,
     "xz",
     "unxz '{}'"},
    {"PK\x03\x04"sv, "a ZIP archive", "unzip '{}'"},
    {"PAR1"sv, "Parquet", kParquet},
    {"ARROW1"sv, "Arrow", kArrow},
    {"\xFF\xFF\xFF\xFF"sv, "Arrow", kArrow},
    {"\xFF\xFE\0\0"sv, "UTF-32", "iconv -f utf-32 -t utf-8 '{}' > data.jsonl"},
    {"\0\0\xFE\xFF"sv, "UTF-32", "iconv -f utf-32 -t utf-8 '{}' > data.jsonl"},
    {"\xFF\xFE"sv, "UTF-16", "iconv -f utf-16 -t utf-8 '{}' > data.jsonl"},
    {"\xFE\xFF"sv, "UTF-16", "iconv -f utf-16 -t utf-8 '{}' > data.jsonl"},
};

// Text of Latin letters in UTF-16 without a mark: every other byte is 0.
std::optional<std::string_view> UnmarkedUtf16(std::string_view bytes) {
  constexpr std::size_t kLooked = 64;
  const std::string_view head = bytes.substr(0, std::min(kLooked, bytes.size()) / 2 * 2);
  if (head.size() < 4) return std::nullopt;
  std::size_t zeros[2] = {0, 0};
  for (std::size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
  const std::size_t most = head.size() / 2 * 3 / 4;
  if (zeros[1] > most && zeros[0] == 0) return "utf-16le";
  if (zeros[0] > most && zeros[1] == 0) return "utf-16be";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> LfsPointer(std::string_view bytes) {
  if (!bytes.starts_with("version https://git-lfs.github.com/spec/")) return std::nullopt;
  return "is a Git LFS pointer, not the file it stands for; fetch that: git lfs pull";
}

std::optional<std::string> ForeignKind(std::string_view name, std::string_view bytes) {
  if (auto pointer = LfsPointer(bytes)) return pointer;
  for (const Magic& magic : kMagics) {
    if (!bytes.starts_with(magic.bytes)) continue;
    return fmt::format(
        "is {}; convert it: {}", magic.kind, fmt::format(fmt::runtime(magic.command), name));
  }
  if (const auto encoding = UnmarkedUtf16(bytes)) {
    return fmt::format(
        "is UTF-16; convert it: iconv -f {} -t utf-8 '{}' > data.jsonl", *encoding, name);
  }
  return std::nullopt;
}

}  // namespace dashf
