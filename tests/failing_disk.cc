// Preloaded into a node: while the file DASHF_TEST_DISK_FAILS exists, what is written or synced
// below the folder DASHF_TEST_DISK fails as on a broken device (EIO). Sockets and other folders are
// left alone.
#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

bool Fails(int file) {
  const char* folder = std::getenv("DASHF_TEST_DISK");
  const char* trigger = std::getenv("DASHF_TEST_DISK_FAILS");
  if (folder == nullptr || trigger == nullptr || ::access(trigger, F_OK) != 0) return false;
  char path[4096];
  const ssize_t bytes =
      ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path);
  const std::size_t length = std::strlen(folder);
  if (bytes < static_cast<ssize_t>(length) || std::memcmp(path, folder, length) != 0) return false;
  errno = EIO;
  return true;
}

// What stands behind the function of that name here.
template <class Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* bytes, size_t count) {
  static auto* real = Real<ssize_t(int, const void*, size_t)>("write");
  return Fails(file) ? -1 : real(file, bytes, count);
}
ssize_t writev(int file, const iovec* parts, int count) {
  static auto* real = Real<ssize_t(int, const iovec*, int)>("writev");
  return Fails(file) ? -1 : real(file, parts, count);
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t at) {
  static auto* real = Real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return Fails(file) ? -1 : real(file, bytes, count, at);
}
int fsync(int file) {
  static auto* real = Real<int(int)>("fsync");
  return Fails(file) ? -1 : real(file);
}
int fdatasync(int file) {
  static auto* real = Real<int(int)>("fdatasync");
  return Fails(file) ? -1 : real(file);
}
}
