#include "runtime/energy_meter.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

// A /sys of its own.
class Meter : public ::testing::Test {
 protected:
  ~Meter() override { fs::remove_all(sys_); }
  void Write(const std::string& path, const std::string& line) const {
    fs::create_directories((sys_ / path).parent_path());
    std::ofstream(sys_ / path) << line << "\n";
  }
  void WritePackage(int number, std::uint64_t energy_uj) const {
    const std::string zone = "class/powercap/intel-rapl:" + std::to_string(number) + "/";
    Write(zone + "name", "package-" + std::to_string(number));
    Write(zone + "max_energy_range_uj", "262143328850");
    Write(zone + "energy_uj", std::to_string(energy_uj));
  }
  void WriteBattery(const std::string& status, const std::string& power_uw) const {
    Write("class/power_supply/BAT0/type", "Battery");
    Write("class/power_supply/BAT0/status", status);
    Write("class/power_supply/BAT0/power_now", power_uw);
  }
  const fs::path sys_ = fs::path(::testing::TempDir()) / ("sys-" + std::to_string(::getpid()));
};

TEST_F(Meter, IsNoneOnAMachineWithoutOne) {
  EXPECT_FALSE(EnergyMeter::Find(sys_));
  Write("class/power_supply/AC/type", "Mains");
  Write("class/powercap/intel-rapl:0/name", "package-0");  // Whose counter is root's.
  EXPECT_FALSE(EnergyMeter::Find(sys_));
}

TEST_F(Meter, SumsThePackagesButNotWhatIsInThem) {
  WritePackage(0, 1'000'000);
  WritePackage(1, 5'000'000);
  Write("class/powercap/intel-rapl:0:0/name", "core");
  Write("class/powercap/intel-rapl:0:0/max_energy_range_uj", "262143328850");
  Write("class/powercap/intel-rapl:0:0/energy_uj", "1");
  auto meter = EnergyMeter::Find(sys_);
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->name(), "RAPL, 2 packages");
  meter->Begin();
  WritePackage(0, 3'500'000);
  WritePackage(1, 5'500'000);
  Write("class/powercap/intel-rapl:0:0/energy_uj", "900000000");
  EXPECT_DOUBLE_EQ(meter->End().value(), 3.0);
}

TEST_F(Meter, KnowsACounterThatBeganAgain) {
  WritePackage(0, 262'143'000'000);
  auto meter = EnergyMeter::Find(sys_);
  meter->Begin();
  WritePackage(0, 671'150);
  EXPECT_DOUBLE_EQ(meter->End().value(), 1.0);
}

TEST_F(Meter, HasNothingOfACounterThatCannotBe) {
  WritePackage(0, 1'000'000);
  auto meter = EnergyMeter::Find(sys_);
  for (const auto& [from, to] :
       {std::pair(262'143'328'851U + 0ULL, 1ULL), std::pair(1ULL, ~0ULL)}) {
    WritePackage(0, from);
    meter->Begin();
    WritePackage(0, to);
    EXPECT_FALSE(meter->End());
  }
}

TEST_F(Meter, OfABatteryIsTheMeanPowerTimesTheTime) {
  Write("class/power_supply/mouse/type", "Battery");
  Write("class/power_supply/mouse/scope", "Device");
  Write("class/power_supply/mouse/power_now", "1");
  WriteBattery("Discharging", "4000000");
  auto meter = EnergyMeter::Find(sys_);
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->name(), "battery BAT0");
  const auto before = std::chrono::steady_clock::now();
  meter->Begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  WriteBattery("Discharging", "8000000");
  const double energy_j = meter->End().value();
  const std::chrono::duration<double> at_most = std::chrono::steady_clock::now() - before;
  EXPECT_GE(energy_j, 6.0 * 0.020);
  EXPECT_LE(energy_j, 6.0 * at_most.count());
}

TEST_F(Meter, TakesCurrentTimesVoltageWhereThereIsNoPower) {
  Write("class/power_supply/battery/type", "Battery");
  Write("class/power_supply/battery/status", "Discharging");
  Write("class/power_supply/battery/current_now", "500000");
  Write("class/power_supply/battery/voltage_now", "4000000");
  auto meter = EnergyMeter::Find(sys_);
  ASSERT_TRUE(meter);
  const auto before = std::chrono::steady_clock::now();
  meter->Begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double energy_j = meter->End().value();
  const std::chrono::duration<double> at_most = std::chrono::steady_clock::now() - before;
  EXPECT_GE(energy_j, 2.0 * 0.020);
  EXPECT_LE(energy_j, 2.0 * at_most.count());
}

TEST_F(Meter, HasNothingWhileTheBatteryIsCharged) {
  WriteBattery("Charging", "4000000");
  auto meter = EnergyMeter::Find(sys_);
  meter->Begin();
  WriteBattery("Discharging", "4000000");
  EXPECT_FALSE(meter->End());
  EXPECT_FALSE(meter->End());  // Nothing has begun.
  meter->Begin();
  fs::remove_all(sys_);
  EXPECT_FALSE(meter->End());
}

}  // namespace
}  // namespace dashf::runtime
