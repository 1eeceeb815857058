// What a machine draws, by a meter of its own: the counters of RAPL for its processor packages,
// else the gauge of a battery that it runs on. Of the whole machine, whatever else it does.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dashf::runtime {

class EnergyMeter {
 public:
  // What can be read under `sysfs`; none on a machine without meters, or where they are not for
  // this process to read (RAPL's counters are root's alone on most).
  static std::optional<EnergyMeter> Find(const std::filesystem::path& sysfs);
  // /sys, or what the environment variable DASHF_SYSFS says: in a container it may lie elsewhere.
  static std::optional<EnergyMeter> Find();

  // "RAPL, 2 packages" or "battery BAT0".
  const std::string& name() const { return name_; }

  // Joules between the two, RAPL's by its counters, a battery's as the mean of the power drawn at
  // either end times the time. None where one of the readings failed, or the battery is charging.
  void Begin();
  std::optional<double> End();

 private:
  struct Counter {
    std::filesystem::path energy_uj;
    std::uint64_t range_uj = 0;  // It begins again at 0 after this.
  };
  struct Reading {
    std::chrono::steady_clock::time_point at;
    std::vector<std::uint64_t> counters_uj;  // One per counter.
    double power_w = 0.0;                    // Of a battery.
  };
  std::optional<Reading> Read() const;

  std::string name_;
  std::vector<Counter> counters_;  // Empty: a battery.
  std::filesystem::path battery_;
  std::optional<Reading> began_;
};

}  // namespace dashf::runtime
