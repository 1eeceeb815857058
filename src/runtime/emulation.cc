#include "runtime/emulation.h"

#include <algorithm>
#include <utility>

namespace dashf::runtime {
namespace {

// Units per second of the wall's clock; 0 where the plan has none or does not say.
double Rate(double units, const std::optional<double>& predicted_s, double time_scale) {
  if (!predicted_s || !(*predicted_s > 0.0) || !(units > 0.0)) return 0.0;
  return units / (*predicted_s * time_scale);
}

}  // namespace

Pace PaceOf(const SplitProfile& profile,
            int local_layers,
            const PhaseSeconds& predicted_s,
            const Emulation& emulation) {
  if (!(emulation.time_scale > 0.0)) return {};
  const auto k = static_cast<std::size_t>(local_layers);
  const auto rate = [&](const std::vector<double>& units, const std::optional<double>& seconds) {
    return Rate(units.at(k), seconds, emulation.time_scale);
  };
  return {.upload_bit_per_s = rate(profile.upload_bit, predicted_s.upload),
          .download_bit_per_s = rate(profile.download_bit, predicted_s.download),
          .local_s = predicted_s.local.value_or(0.0) * emulation.time_scale,
          .server_s = predicted_s.server.value_or(0.0) * emulation.time_scale};
}

AskedCores AskedCoresOf(const SplitProfile& profile,
                        int local_layers,
                        const PhaseSeconds& predicted_s,
                        const Emulation& emulation) {
  if (!(emulation.time_scale > 0.0 && emulation.machine_flop_per_s > 0.0)) return {};
  const auto k = static_cast<std::size_t>(local_layers);
  const auto cores = [&](const std::vector<double>& flop, const std::optional<double>& seconds) {
    return Rate(flop.at(k), seconds, emulation.time_scale) / emulation.machine_flop_per_s;
  };
  return {cores(profile.local_flop, predicted_s.local),
          cores(profile.server_flop, predicted_s.server)};
}

double CoresAsked(const std::vector<PlannedPhases>& users) {
  std::vector<std::pair<double, double>> changes;  // When, and by how many cores.
  for (const PlannedPhases& user : users) {
    double now_s = 0.0;
    const auto pass = [&](const std::optional<double>& seconds, double cores) {
      changes.emplace_back(now_s, cores);
      now_s += seconds.value_or(0.0);
      changes.emplace_back(now_s, -cores);
    };
    pass(user.predicted_s.local, user.cores.local);
    pass(user.predicted_s.upload, 0.0);
    pass(user.predicted_s.server, user.cores.server);
  }
  std::sort(changes.begin(), changes.end());  // What ends at a time ends before what begins then.
  double cores = 0.0, most = 0.0;
  for (const auto& [when, change] : changes) {
    cores += change;
    most = std::max(most, cores);
  }
  return most;
}

}  // namespace dashf::runtime
