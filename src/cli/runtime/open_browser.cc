#include "cli/runtime/open_browser.h"

#include <signal.h>
#include <spawn.h>

#include <cstring>

extern char** environ;

namespace dashf::cli {

Expected<void> OpenBrowser(const std::string& url) {
  std::string program = "xdg-open", address = url;
  char* arguments[] = {program.data(), address.data(), nullptr};
  posix_spawnattr_t attributes;
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &none);  // Ours waits for signals in its own way.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failed =
      ::posix_spawnp(&pid, program.c_str(), nullptr, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return Fail(ErrorKind::kIo, program, std::strerror(failed));
  return {};
}

}  // namespace dashf::cli
