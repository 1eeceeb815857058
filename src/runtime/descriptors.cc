#include "runtime/descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/descriptor.h"

namespace dashf::runtime {

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  [[maybe_unused]] const int raised = ::setrlimit(RLIMIT_NOFILE, &limit);
}

Expected<void> CheckDescriptorsLeft() {
  const Descriptor probe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (probe.get() >= 0 || (errno != EMFILE && errno != ENFILE)) return {};
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return Fail(ErrorKind::kIo,
              "open files",
              fmt::format("all {} that this process may have are taken, and its port is lost with "
                          "that: raise the limit (LimitNOFILE=, ulimit -n) and start it again",
                          limit.rlim_cur));
}

}  // namespace dashf::runtime
