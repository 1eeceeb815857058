#include "runtime/compute_gate.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace dashf::runtime {
namespace {

bool Always() {
  return true;
}

std::filesystem::path GateFolder() {
  const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / test->name();
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(ComputeGate, NoMoreHoldersThanTurnsAtAnyTimeAndEverybodyGetsOne) {
  const std::filesystem::path folder = GateFolder();
  constexpr int kTurns = 2;
  std::atomic<int> holders = 0, holders_max = 0;
  std::vector<std::thread> nodes;
  for (int i = 0; i < 6; ++i) {
    nodes.emplace_back([&] {
      ComputeGate gate(folder, kTurns);
      ASSERT_TRUE(*gate.Enter(Always));
      const int now = ++holders;
      for (int seen = holders_max; now > seen && !holders_max.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      --holders;
    });
  }
  for (std::thread& node : nodes) node.join();
  EXPECT_EQ(holders_max, kTurns);
}

TEST(ComputeGate, OneThatNeverLeavesLetsTheOtherInAfterItsTime) {
  const std::filesystem::path folder = GateFolder();
  std::atomic<bool> other_done = false;
  ComputeGate busy(folder, 1);
  ASSERT_TRUE(*busy.Enter(Always));
  std::thread other([&] {
    ComputeGate gate(folder, 1);
    EXPECT_TRUE(*gate.Enter(Always));
    EXPECT_GT(gate.waited_s(), 0.0);
    other_done = true;
  });
  while (!other_done) {
    ASSERT_TRUE(*busy.Enter(Always));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // A step.
  }
  other.join();
}

TEST(ComputeGate, WhoIsNotWantedAnyMoreStopsWaiting) {
  const std::filesystem::path folder = GateFolder();
  ComputeGate holder(folder, 1), next(folder, 1);
  ASSERT_TRUE(*holder.Enter(Always));
  int asked = 0;
  EXPECT_FALSE(*next.Enter([&asked] { return ++asked < 3; }));
  holder.Leave();
  EXPECT_TRUE(*next.Enter(Always));
}

TEST(ComputeGate, AMissingFolderIsAnErrorAndNoFolderNoGate) {
  EXPECT_EQ(ComputeGate("/nonexistent/folder", 1).Enter(Always).error().kind, ErrorKind::kIo);
  EXPECT_TRUE(*ComputeGate("", 1).Enter(Always));
}

}  // namespace
}  // namespace dashf::runtime
