// Named places where a test can have a process killed, as by kill -9: set DASHF_FAILPOINT to
// "user/u1:upload" and that node dies when it begins its upload; with ":term" behind it the process
// gets SIGTERM there, with ":stop" SIGSTOP, once. docs/protocol.md lists the places.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/node.h"

namespace dashf::runtime {

inline void Failpoint(const NodeId& node, std::string_view place) {
  static std::atomic<bool> passed = false;
  const char* wanted = std::getenv("DASHF_FAILPOINT");
  if (wanted == nullptr) return;
  const std::string here = Name(node) + ":" + std::string(place);
  constexpr std::pair<const char*, int> kSignals[] = {
      {"", SIGKILL}, {":term", SIGTERM}, {":stop", SIGSTOP}};
  for (const auto& [suffix, signal] : kSignals) {
    if (wanted == here + suffix && !passed.exchange(true)) ::kill(::getpid(), signal);
  }
}

}  // namespace dashf::runtime
