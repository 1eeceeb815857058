#include "runtime/node_places.h"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/printable.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

struct Place {
  const char* key;  // In the node file.
  std::string path;
};

// Through links; "folder/" is "folder".
fs::path Real(const std::string& path) {
  std::error_code unknown;  // Then reading or writing tells.
  fs::path real = fs::weakly_canonical(path, unknown);
  if (unknown || real.empty()) real = path;
  return real.has_filename() ? real : real.parent_path();
}

bool IsOrHolds(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

tl::unexpected<Error> Refuse(const fs::path& path, const std::string& what) {
  return Fail(ErrorKind::kBadInput, path.string(), what);
}

std::string NameIn(const fs::path& path) {
  return PrintableLine(path.filename().string());
}

// One of the two files, or what a crash has left of writing it (base/file.h).
bool IsOfAnAdapter(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const char* own : {"adapter_config.json", "adapter_model.safetensors"}) {
    if (!name.starts_with(own)) continue;
    const std::string rest = name.substr(std::string_view(own).size());
    return rest.empty() || (rest.front() == '.' && rest.ends_with(".tmp"));
  }
  return false;
}

const char* StreamKind(fs::file_type type) {
  switch (type) {
    case fs::file_type::fifo:
      return "a pipe";
    case fs::file_type::socket:
      return "a socket";
    case fs::file_type::block:
    case fs::file_type::character:
      return "a device";
    default:
      return nullptr;
  }
}

Expected<void> CheckPlainFile(const fs::path& path) {
  std::error_code unknown;
  const char* const kind = StreamKind(fs::status(path, unknown).type());
  if (kind == nullptr) return {};
  return Refuse(path, fmt::format("must be a file, is {}", kind));
}

}  // namespace

Expected<void> CheckPlacesApart(const std::string& name, const NodeConfig& config) {
  const Place adapter{"user.adapter_folder", config.user.adapter_folder};
  const Place state{"user.state_folder", config.user.state_folder};
  const Place spool{"server.spool.folder", config.server.spool_folder};
  const Place places[] = {{"folder", config.folder},
                          {"tls.ca", config.tls.ca},
                          {"tls.certificate", config.tls.certificate},
                          {"tls.key", config.tls.key},
                          {"tls.revoked", config.tls.revoked},
                          {"model", config.model_folder},
                          {"gate.folder", config.gate_folder},
                          {"telemetry", config.telemetry_path},
                          {"user.train", config.user.train_path},
                          {"user.test", config.user.test_path},
                          {"this file", fs::absolute(name).string()},
                          adapter,
                          state,
                          spool};
  for (const Place& own : {adapter, state, spool}) {
    if (own.path.empty()) continue;
    const fs::path folder = Real(own.path);
    for (const Place& other : places) {
      if (other.path.empty() || std::string_view(other.key) == own.key) continue;
      const fs::path place = Real(other.path);
      const bool fits_in = own.key == state.key && place != folder &&
                           (other.key == adapter.key || other.path == config.telemetry_path);
      if (fits_in || !IsOrHolds(folder, place)) continue;
      return Fail(ErrorKind::kBadInput,
                  name,
                  fmt::format("{}: must be a folder of its own: {} is {}{}",
                              own.key,
                              own.path,
                              place == folder ? "" : "a parent of ",
                              other.key));
    }
  }
  return {};
}

Expected<void> CheckAdapterFolder(const fs::path& folder) {
  std::error_code failed;
  const bool is_there = fs::exists(folder, failed);
  if (is_there && !fs::is_directory(folder, failed)) {
    return Refuse(folder, "must be a folder for an adapter");
  }
  // It, or what it is to be made in: an adapter comes at the end of all work.
  fs::path there = fs::absolute(folder);
  while (!failed && !fs::exists(there, failed) && there != there.parent_path()) {
    there = there.parent_path();
  }
  if (failed || ::access(there.c_str(), W_OK | X_OK) != 0) {
    const std::string why = failed ? failed.message() : std::strerror(errno);
    return Fail(ErrorKind::kIo, folder.string(), "cannot be written: " + why);
  }
  if (!is_there) return {};
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename() == "lost+found") continue;  // A disk is mounted here.
    if (IsOfAnAdapter(at->path()) && at->is_regular_file(failed)) continue;
    return Refuse(folder,
                  fmt::format("is no adapter's folder: holds {}; name a new or an empty one",
                              NameIn(at->path())));
  }
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  return {};
}

Expected<void> CheckPlainFiles(const fs::path& path) {
  std::error_code unknown;
  if (auto plain = CheckPlainFile(path); !plain || !fs::is_directory(path, unknown)) return plain;
  for (fs::directory_iterator at(path, unknown), end; !unknown && at != end;
       at.increment(unknown)) {
    if (auto plain = CheckPlainFile(at->path()); !plain) return plain;
  }
  return {};
}

Expected<void> CheckRoom(const fs::path& folder, double bytes) {
  fs::path there = fs::absolute(folder);
  std::error_code failed;
  while (!fs::exists(there, failed) && there != there.parent_path()) there = there.parent_path();
  const auto room = fs::space(there, failed);
  if (failed) return Fail(ErrorKind::kIo, there.string(), failed.message());
  const auto left = static_cast<double>(room.available);
  if (left >= bytes) return {};
  return Fail(ErrorKind::kIo,
              folder.string(),
              fmt::format("its disk has {:.1f} MB left, the run needs {:.1f} MB at least",
                          left / 1e6,
                          bytes / 1e6));
}

}  // namespace dashf::runtime
