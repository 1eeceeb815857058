#include "runtime/emulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace dashf::runtime {
namespace {

// Units per second of the wall's clock; 0 where the plan has none or does not say.
double Rate(double units, const std::optional<double>& seconds, double time_scale) {
  if (!seconds || !(*seconds > 0.0) || !(units > 0.0)) return 0.0;
  return units / (*seconds * time_scale);
}

}  // namespace

Expected<void> CheckSlowdown(const std::string& where,
                             const std::map<std::string, double>& slowdown,
                             const Scenario& scenario) {
  for (const auto& [id, factor] : slowdown) {
    const bool known = std::any_of(scenario.users.begin(),
                                   scenario.users.end(),
                                   [&id = id](const User& user) { return user.id == id; });
    if (known) continue;
    return Fail(ErrorKind::kBadInput, where, fmt::format("must name users, got '{}'", id));
  }
  return {};
}

PhaseSeconds EmulatedSeconds(const std::string& user,
                             PhaseSeconds predicted_s,
                             const PhaseFactors& assumed,
                             const Emulation& emulation) {
  const auto own = emulation.slowdown.find(user);
  const auto scale = [](std::optional<double>* seconds, double factor) {
    if (*seconds) **seconds *= factor;
  };
  scale(&predicted_s.local, (own == emulation.slowdown.end() ? 1.0 : own->second) / assumed.local);
  scale(&predicted_s.upload, 1.0 / assumed.upload);
  scale(&predicted_s.server, 1.0 / assumed.server);
  scale(&predicted_s.download, 1.0 / assumed.download);
  return predicted_s;
}

Pace PaceOf(const SplitProfile& profile,
            int local_layers,
            const PhaseSeconds& seconds,
            const Emulation& emulation) {
  if (!(emulation.time_scale > 0.0)) return {};
  const auto k = static_cast<std::size_t>(local_layers);
  const auto rate = [&](const std::vector<double>& units, const std::optional<double>& phase_s) {
    return Rate(units.at(k), phase_s, emulation.time_scale);
  };
  return {.upload_bit_per_s = rate(profile.upload_bit, seconds.upload),
          .download_bit_per_s = rate(profile.download_bit, seconds.download),
          .local_s = seconds.local.value_or(0.0) * emulation.time_scale,
          .server_s = seconds.server.value_or(0.0) * emulation.time_scale};
}

AskedCores AskedCoresOf(const SplitProfile& profile,
                        int local_layers,
                        const PhaseSeconds& seconds,
                        const Emulation& emulation) {
  if (!(emulation.time_scale > 0.0 && emulation.machine_flop_per_s > 0.0)) return {};
  const auto k = static_cast<std::size_t>(local_layers);
  const auto cores = [&](const std::vector<double>& flop, const std::optional<double>& phase_s) {
    return Rate(flop.at(k), phase_s, emulation.time_scale) / emulation.machine_flop_per_s;
  };
  return {cores(profile.local_flop, seconds.local), cores(profile.server_flop, seconds.server)};
}

double CoresAsked(const std::vector<PlannedPhases>& users) {
  std::vector<std::pair<double, double>> changes;  // When, and by how many cores.
  for (const PlannedPhases& user : users) {
    double now_s = 0.0;
    const auto pass = [&](const std::optional<double>& phase_s, double cores) {
      changes.emplace_back(now_s, cores);
      now_s += phase_s.value_or(0.0);
      changes.emplace_back(now_s, -cores);
    };
    pass(user.seconds.local, user.cores.local);
    pass(user.seconds.upload, 0.0);
    pass(user.seconds.server, user.cores.server);
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
