#include "cli/train/out_place.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace dashf::cli {

namespace fs = std::filesystem;

Expected<void> CheckApart(const char* flag,
                          const fs::path& out,
                          std::initializer_list<InputPlace> inputs) {
  std::error_code unknown;  // Then reading or writing tells.
  const auto place_of = [&](const fs::path& path) {
    fs::path place = fs::weakly_canonical(fs::absolute(path, unknown), unknown);
    return place.has_filename() ? place : place.parent_path();  // "folder/" is "folder".
  };
  const fs::path place = place_of(out);
  for (const auto& [input, path, keeps_inside] : inputs) {
    if (path.empty()) continue;
    const fs::path read = place_of(path);
    const bool begins_so =
        std::mismatch(read.begin(), read.end(), place.begin(), place.end()).first == read.end();
    if (!begins_so) continue;
    if (place == read) {
      return Fail(ErrorKind::kUsage,
                  flag,
                  fmt::format("must be another place than {}, which {} reads", path, input));
    }
    if (keeps_inside && fs::is_directory(read, unknown)) {
      return Fail(ErrorKind::kUsage,
                  flag,
                  fmt::format("must lie outside of {}, which {} reads", path, input));
    }
  }
  return {};
}

Expected<void> OutFolder::Make() {
  std::error_code failed;
  for (fs::path path = folder_; !path.empty() && !fs::exists(path, failed);
       path = path.parent_path()) {
    if (path.has_filename()) made_.push_back(path);
  }
  failed.clear();
  fs::create_directories(folder_, failed);
  if (!failed && ::access(folder_.c_str(), W_OK) != 0) {
    failed = std::error_code(errno, std::generic_category());
  }
  if (!failed) return {};
  return Fail(
      ErrorKind::kIo, folder_.string(), fmt::format("cannot write there: {}", failed.message()));
}

OutFolder::~OutFolder() {
  // With something in it a folder stays.
  for (const fs::path& path : made_) ::rmdir(path.c_str());
}

}  // namespace dashf::cli
