#include "runtime/telemetry.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace dashf::runtime {

Expected<Telemetry> Telemetry::Open(const std::string& path, const NodeId& node) {
  if (path.empty()) return Telemetry(-1, Name(node));
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return Fail(ErrorKind::kIo, path, std::strerror(errno));
  return Telemetry(file, Name(node));
}

Telemetry::Telemetry(Telemetry&& other) noexcept
    : file_(std::exchange(other.file_, -1)), node_(std::move(other.node_)) {}

Telemetry::~Telemetry() {
  if (file_ >= 0) ::close(file_);
}

void Telemetry::Write(std::string_view event, nlohmann::ordered_json fields) const {
  if (file_ < 0) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::ordered_json line = {{"time_s", std::chrono::duration<double>(now).count()},
                                 {"node", node_},
                                 {"pid", ::getpid()},
                                 {"event", event}};
  line.update(fields);
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  [[maybe_unused]] const ssize_t written = ::write(file_, text.data(), text.size());
}

}  // namespace dashf::runtime
