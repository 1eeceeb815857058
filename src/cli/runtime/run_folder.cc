#include "cli/runtime/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/printable.h"
#include "round/round_record.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;

bool IsRun(const fs::path& folder) {
  std::error_code unknown;
  const auto text_of = [&](const char* name) {
    const fs::path path = folder / name;
    if (!fs::is_regular_file(path, unknown)) return std::string();
    return ReadFile(path).value_or("");
  };
  if (text_of("lock").find(", dashf run, ") != std::string::npos) return true;
  return ParseRound("", text_of("round.json")).has_value();
}

}  // namespace

Expected<void> CheckRunFolder(const fs::path& folder) {
  std::error_code failed;
  if (!fs::exists(folder, failed)) return {};
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (name != "lost+found") names.push_back(name);  // Of a file system's own.
  }
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  if (names.empty() || IsRun(folder)) return {};
  std::sort(names.begin(), names.end());
  return Fail(ErrorKind::kBadInput,
              folder.string(),
              fmt::format("is no run's folder: holds {}{}; name a new or an empty one",
                          PrintableLine(Clipped(names.front(), 64)),
                          names.size() > 1 ? fmt::format(" and {} more", names.size() - 1) : ""));
}

}  // namespace dashf::cli
