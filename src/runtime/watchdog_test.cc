#include "runtime/watchdog.h"

#include <gmock/gmock.h>

#include <atomic>

namespace dashf::runtime {
namespace {

using std::chrono_literals::operator""ms;

TEST(Watchdog, ActsOnceAfterSilence) {
  Watchdog watchdog;
  std::atomic<int> acted = 0;
  const auto watch = watchdog.Start(20ms, [&] { ++acted; });
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(acted, 1);
}

TEST(Watchdog, ProgressPostponesItForAsLongAsThereIsProgress) {
  Watchdog watchdog;
  std::atomic<int> acted = 0;
  const auto watch = watchdog.Start(5000ms, [&] { ++acted; });
  const auto impatient = watchdog.Start(50ms, [&] { ++acted; });
  for (int i = 0; i < 20; ++i) {
    watch->Touch();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(acted, 1);
}

TEST(Watchdog, AnEndedWatchNeverActs) {
  Watchdog watchdog;
  std::atomic<int> acted = 0;
  watchdog.Start(20ms, [&] { ++acted; }).reset();
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(acted, 0);
}

}  // namespace
}  // namespace dashf::runtime
