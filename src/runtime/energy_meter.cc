#include "runtime/energy_meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> Line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<std::uint64_t> Number(const fs::path& path) {
  const auto line = Line(path);
  std::uint64_t number = 0;
  if (!line) return std::nullopt;
  const char* const end = line->data() + line->size();
  const auto [read, error] = std::from_chars(line->data(), end, number);
  return error == std::errc() && read == end ? std::optional(number) : std::nullopt;
}

// In the order of their names, so that a machine's are the same each time.
std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  return entries;
}

// power_now where the driver has it, else current_now times voltage_now. A sign some drivers give
// to what is drawn is no number here; such a battery is not read.
std::optional<double> DrawnW(const fs::path& battery) {
  if (Line(battery / "status") != "Discharging") return std::nullopt;
  if (const auto power_uw = Number(battery / "power_now")) {
    return 1e-6 * static_cast<double>(*power_uw);
  }
  const auto current_ua = Number(battery / "current_now");
  const auto voltage_uv = Number(battery / "voltage_now");
  if (!current_ua || !voltage_uv) return std::nullopt;
  return 1e-12 * static_cast<double>(*current_ua) * static_cast<double>(*voltage_uv);
}

}  // namespace

std::optional<EnergyMeter> EnergyMeter::Find() {
  const char* const elsewhere = std::getenv("DASHF_SYSFS");
  return Find(elsewhere != nullptr ? elsewhere : "/sys");
}

std::optional<EnergyMeter> EnergyMeter::Find(const fs::path& sysfs) {
  EnergyMeter meter;
  for (const fs::path& zone : Entries(sysfs / "class/powercap")) {
    const auto name = Line(zone / "name");
    const auto range_uj = Number(zone / "max_energy_range_uj");
    if (!name || !name->starts_with("package") || !range_uj) continue;
    if (Number(zone / "energy_uj")) meter.counters_.push_back({zone / "energy_uj", *range_uj});
  }
  if (!meter.counters_.empty()) {
    const std::size_t packages = meter.counters_.size();
    meter.name_ = fmt::format("RAPL, {} package{}", packages, packages == 1 ? "" : "s");
    return meter;
  }
  for (const fs::path& supply : Entries(sysfs / "class/power_supply")) {
    // A device's own battery, a mouse's, has this scope.
    if (Line(supply / "type") != "Battery" || Line(supply / "scope") == "Device") continue;
    const bool gauged = Number(supply / "power_now") ||
                        (Number(supply / "current_now") && Number(supply / "voltage_now"));
    if (!gauged) continue;
    meter.battery_ = supply;
    meter.name_ = "battery " + supply.filename().string();
    return meter;
  }
  return std::nullopt;
}

std::optional<EnergyMeter::Reading> EnergyMeter::Read() const {
  Reading reading{.at = std::chrono::steady_clock::now(), .counters_uj = {}};
  for (const Counter& counter : counters_) {
    const auto energy_uj = Number(counter.energy_uj);
    if (!energy_uj) return std::nullopt;
    reading.counters_uj.push_back(*energy_uj);
  }
  if (!counters_.empty()) return reading;
  const auto power_w = DrawnW(battery_);
  if (!power_w) return std::nullopt;
  reading.power_w = *power_w;
  return reading;
}

void EnergyMeter::Begin() {
  began_ = Read();
}

// A counter that has passed its range once is told from one that has not; twice takes an hour or
// more, and a step does not.
std::optional<double> EnergyMeter::End() {
  const auto before = std::exchange(began_, std::nullopt);
  const auto now = Read();
  if (!before || !now) return std::nullopt;
  if (counters_.empty()) {
    const std::chrono::duration<double> took = now->at - before->at;
    return 0.5 * (before->power_w + now->power_w) * took.count();
  }
  double energy_uj = 0.0;
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const std::uint64_t from = before->counters_uj[i], to = now->counters_uj[i];
    const std::uint64_t range_uj = counters_[i].range_uj;
    if (from > range_uj || to > range_uj) return std::nullopt;
    energy_uj += static_cast<double>(to >= from ? to - from : range_uj - from + to);
  }
  // A counter moves every millisecond or so; one that stands still counts nothing.
  if (energy_uj == 0.0 && now->at - before->at > std::chrono::seconds(1)) return std::nullopt;
  return 1e-6 * energy_uj;
}

}  // namespace dashf::runtime
