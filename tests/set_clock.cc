// Preloaded into a node: while the file DASHF_TEST_CLOCK_SET exists, the wall's clock is that many
// seconds ahead as stand in it. The steady clock is left alone, as by whoever sets a machine's.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace {

time_t AheadSeconds() {
  const char* path = std::getenv("DASHF_TEST_CLOCK_SET");
  const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t bytes = ::read(file, text, sizeof text - 1);
  ::close(file);
  return bytes > 0 ? std::strtol(text, nullptr, 10) : 0;
}

// What stands behind the function of that name here.
template <class Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto* real = Real<int(clockid_t, timespec*)>("clock_gettime");
  const int rc = real(clock, now);
  if (rc == 0 && clock == CLOCK_REALTIME) now->tv_sec += AheadSeconds();
  return rc;
}
int gettimeofday(timeval* now, void* zone) noexcept {
  static auto* real = Real<int(timeval*, void*)>("gettimeofday");
  const int rc = real(now, zone);
  if (rc == 0) now->tv_sec += AheadSeconds();
  return rc;
}
time_t time(time_t* now) noexcept {
  static auto* real = Real<time_t(time_t*)>("time");
  const time_t seconds = real(nullptr) + AheadSeconds();
  if (now != nullptr) *now = seconds;
  return seconds;
}
}
