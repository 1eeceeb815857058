// What a loader may allocate in a test: a file that claims more than it holds must be refused
// within it.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace dashf::train::testing {

// While it lives, the process gets at most `bytes` of address space beyond what it has.
class MemoryLimit {
 public:
  explicit MemoryLimit(rlim_t bytes) : bytes_(bytes) {
    getrlimit(RLIMIT_AS, &before_);
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + bytes;
    setrlimit(RLIMIT_AS, &limit);
  }
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &before_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  // Whether the system keeps to it; qemu's user emulation does not.
  bool IsKept() const {
    void* const more =
        mmap(nullptr, 2 * bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (more == MAP_FAILED) return true;
    munmap(more, 2 * bytes_);
    return false;
  }

 private:
  rlim_t bytes_;
  rlimit before_{};
};

}  // namespace dashf::train::testing
