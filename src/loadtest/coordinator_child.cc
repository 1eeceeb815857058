#include "loadtest/coordinator_child.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "base/termination.h"

namespace dashf::loadtest {
namespace {

namespace fs = std::filesystem;

}  // namespace

Expected<std::unique_ptr<CoordinatorChild>> CoordinatorChild::Start(
    const std::string& program, const runtime::NodeConfig& config, double time_limit_s) {
  const fs::path folder = config.folder;
  const fs::path path = folder / "node.json";
  const fs::path address = config.coordinator_kit.address_path;
  std::error_code ignored;
  fs::remove(address, ignored);
  if (auto written = WriteFileAtomically(path, WriteNodeConfig(config)); !written) {
    return tl::unexpected(written.error());
  }
  auto child = std::make_unique<CoordinatorChild>();
  const Stopwatch watch;
  // Its messages would be thousands.
  const auto pid = child->process_.Start("coordinator",
                                         {"/bin/sh",
                                          "-c",
                                          "exec \"$0\" \"$@\" 2>\"$DASHF_MESSAGES\"",
                                          program,
                                          "coordinator",
                                          "--config",
                                          path.string()},
                                         {"DASHF_MESSAGES=" + (folder / "messages").string()});
  if (!pid) return tl::unexpected(pid.error());
  child->pid_ = *pid;
  while (!fs::exists(address)) {
    if (const auto end = child->process_.Poll()) {
      return Fail(ErrorKind::kRoundFailed,
                  "coordinator",
                  fmt::format("ended before it listened: {}; see {}",
                              Describe(*end),
                              (folder / "messages").string()));
    }
    if (watch.MeasuredS() > time_limit_s) {
      return Fail(ErrorKind::kRoundFailed, "coordinator", "does not listen");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  child->started_s_ = watch.MeasuredS();
  auto text = ReadFile(address, 256);
  if (!text) return tl::unexpected(text.error());
  child->address_ = std::move(*text);
  return child;
}

double CoordinatorChild::CpuS() const {
  std::ifstream file(fmt::format("/proc/{}/stat", pid_));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // After the name in brackets: state is field 3, user and system time are fields 14 and 15.
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0.0, system = 0.0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t CoordinatorChild::MemoryBytesMax() const {
  std::ifstream file(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(file, line);) {
    std::uint64_t kib = 0;
    if (std::istringstream words(line.substr(std::min<std::size_t>(line.size(), 6)));
        line.starts_with("VmHWM:") && words >> kib) {
      return kib << 10;
    }
  }
  return 0;
}

std::size_t CoordinatorChild::Descriptors() const {
  std::error_code ignored;
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(fmt::format("/proc/{}/fd", pid_), ignored), {}));
}

bool CoordinatorChild::Ended() {
  return process_.Poll().has_value() || process_.running() == 0;
}

void CoordinatorChild::Kill() {
  process_.KillAll();
}

}  // namespace dashf::loadtest
