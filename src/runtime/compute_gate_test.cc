#include "runtime/compute_gate.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace dashf::runtime {
namespace {

TEST(ComputeGate, NoMoreHoldersThanTurnsAtAnyTime) {
  const std::filesystem::path folder =
      testing::TempDir() + "dashf_gate_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  constexpr int kTurns = 2;
  std::atomic<int> holders = 0, holders_max = 0;
  std::vector<std::thread> nodes;
  for (int i = 0; i < 6; ++i) {
    nodes.emplace_back([&] {
      const auto turn = ComputeTurn::Take(folder, kTurns);
      ASSERT_TRUE(turn);
      const int now = ++holders;
      for (int seen = holders_max; now > seen && !holders_max.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      --holders;
    });
  }
  for (std::thread& node : nodes) node.join();
  EXPECT_EQ(holders_max, kTurns);
  std::filesystem::remove_all(folder);
}

TEST(ComputeGate, AMissingFolderIsAnErrorAndNoFolderNoGate) {
  EXPECT_EQ(ComputeTurn::Take("/nonexistent/folder", 1).error().kind, ErrorKind::kIo);
  EXPECT_TRUE(ComputeTurn::Take("", 1));
}

}  // namespace
}  // namespace dashf::runtime
