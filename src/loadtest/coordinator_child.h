// A coordinator as a child process, and what the kernel knows of it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/node_config.h"
#include "runtime/process.h"

namespace dashf::loadtest {

class CoordinatorChild {
 public:
  static Expected<std::unique_ptr<CoordinatorChild>> Start(const std::string& program,
                                                           const runtime::NodeConfig& config,
                                                           double time_limit_s);

  const std::string& address() const { return address_; }
  double started_s() const { return started_s_; }  // How long that took.
  double CpuS() const;
  std::uint64_t MemoryBytesMax() const;
  std::size_t Descriptors() const;
  bool Ended();
  void Kill();

 private:
  runtime::ProcessGroup process_;
  pid_t pid_ = 0;
  std::string address_;
  double started_s_ = 0.0;
};

}  // namespace dashf::loadtest
