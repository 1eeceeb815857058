#include "cli/planner/stopped.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace dashf::cli {
namespace {

std::atomic<const char*> last_line = nullptr;

extern "C" void SayAndEnd(int signal) {
  const char* line = last_line;
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line, std::strlen(line));
  written = ::write(STDERR_FILENO, "\n", 1);
  ::raise(signal);  // Its handler is the default again (SA_RESETHAND).
}

}  // namespace

void SayWhenStopped(const char* line) {
  last_line = line;
  struct sigaction action {};
  action.sa_handler = SayAndEnd;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

}  // namespace dashf::cli
