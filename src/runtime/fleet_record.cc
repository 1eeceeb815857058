#include "runtime/fleet_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/counted.h"

namespace dashf::runtime {
namespace {

using fleet::Phase;
using fleet::Task;

std::optional<int> PlaceOf(const Scenario& scenario, const std::string& server) {
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    if (scenario.servers[m].id == server) return static_cast<int>(m);
  }
  return std::nullopt;
}

void FillMeasured(const Task& task, UserRecord* user) {
  const auto of = [&task](Phase phase) {
    const auto found = task.measured.find(std::string(Key(phase)));
    return found == task.measured.end() ? fleet::Measured{} : found->second;
  };
  user->measured_s = {of(Phase::kLocal).elapsed_s,
                      of(Phase::kUpload).elapsed_s,
                      of(Phase::kServer).elapsed_s,
                      of(Phase::kDownload).elapsed_s};
  user->local_cpu_s = of(Phase::kLocal).cpu_s;
  user->server_cpu_s = of(Phase::kServer).cpu_s;
  user->local_energy_j = of(Phase::kLocal).energy_j;
  user->server_energy_j = of(Phase::kServer).energy_j;
  user->upload_bytes = of(Phase::kUpload).bytes;
  user->download_bytes = of(Phase::kDownload).bytes;
}

}  // namespace

UserRecord UserRecordOf(const Task& task,
                        const Scenario& scenario,
                        std::size_t n,
                        const Emulation& emulation,
                        bool learn) {
  UserRecord user;
  user.server = task.server;
  user.local_layers = task.decision.local_layers;
  if (task.state != Task::State::kDone) user.failure = task.failure;
  FillMeasured(task, &user);
  user.before = task.before;
  user.after = task.after;
  const auto server = PlaceOf(scenario, task.server);
  if (task.attempt == 0 || !server) return user;
  user.predicted_s = task.predicted_s;
  Decision decision = task.decision;
  decision.server = *server;
  if (emulation.time_scale > 0.0 || learn) {
    const double scale = emulation.time_scale > 0.0 ? emulation.time_scale : 1.0;
    user.measured_at_planned_s = user.measured_s;
    for (const auto phase : {&PhaseSeconds::local,
                             &PhaseSeconds::upload,
                             &PhaseSeconds::server,
                             &PhaseSeconds::download}) {
      auto& seconds = user.measured_at_planned_s.*phase;
      if (seconds) *seconds /= scale;
    }
  } else if (emulation.machine_flop_per_s > 0.0) {
    AtPlannedRates(scenario, n, decision, emulation.machine_flop_per_s, &user);
  }
  return user;
}

RoundRecord RecordOf(const fleet::Round& round,
                     const fleet::State& state,
                     const Scenario& scenario,
                     const Emulation& emulation,
                     bool learn) {
  RoundRecord record;
  record.emulation = EmulationOf(round, scenario, emulation);
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const std::string& id = scenario.users[n].id;
    UserRecord user;
    if (const auto task = round.tasks.find(id); task != round.tasks.end()) {
      user = UserRecordOf(task->second, scenario, n, emulation, learn);
    } else {
      const auto absent = round.absent.find(id);
      user.failure = "had no part: " + (absent == round.absent.end() ? "absent" : absent->second);
    }
    user.id = id;
    user.layers = state.layers;
    if (const auto* member = state.Find(fleet::UserNode(id))) user.factors = member->factors;
    record.users.push_back(std::move(user));
  }
  for (const Server& server : scenario.servers) {
    ServerRecord row{server.id, std::nullopt, {}};
    const auto member = state.servers.find(server.id);
    if (member != state.servers.end()) {
      row.factors = member->second.factors;
      if (!member->second.refused.empty()) {
        row.failure = member->second.refused;
      } else if (member->second.presence == fleet::Presence::kNever) {
        row.failure = "never registered";
      } else if (member->second.presence == fleet::Presence::kGone) {
        row.failure = "lost";
      }
    }
    record.servers.push_back(std::move(row));
  }
  return record;
}

namespace {

// The phases of this user that have ended, and too late.
void AddLate(const std::string& user,
             const Task& task,
             const PhaseSeconds& emulated_s,
             const AskedCores& cores,
             double time_scale,
             std::vector<LatePhase>* late) {
  const auto known = [](double asked) { return asked > 0.0 ? std::optional(asked) : std::nullopt; };
  const auto add = [&](Phase phase, const std::optional<double>& phase_s, double asked) {
    const auto found = task.measured.find(std::string(Key(phase)));
    if (found == task.measured.end() || !phase_s || !found->second.elapsed_s) return;
    const double planned_s = *phase_s * time_scale, took_s = *found->second.elapsed_s;
    if (!(planned_s > 0.0) || took_s <= (1.0 + kLate) * planned_s) return;
    LatePhase& row =
        late->emplace_back(LatePhase{user, std::string(Key(phase)), planned_s, took_s, {}, {}});
    row.cores_asked = known(asked);
    if (found->second.cpu_s) row.cores_had = *found->second.cpu_s / took_s;
  };
  add(Phase::kLocal, emulated_s.local, cores.local);
  add(Phase::kUpload, emulated_s.upload, 0.0);
  add(Phase::kServer, emulated_s.server, cores.server);
  add(Phase::kDownload, emulated_s.download, 0.0);
}

}  // namespace

std::optional<EmulationRecord> EmulationOf(const fleet::Round& round,
                                           const Scenario& scenario,
                                           const Emulation& emulation) {
  if (!(emulation.time_scale > 0.0)) return std::nullopt;
  std::vector<PlannedPhases> all;
  std::map<std::string, std::vector<PlannedPhases>> at_server;
  EmulationRecord record{.time_scale = emulation.time_scale,
                         .cores = static_cast<int>(std::thread::hardware_concurrency())};
  double& most = record.node_cores_asked;
  for (const User& user : scenario.users) {
    const auto task = round.tasks.find(user.id);
    if (task == round.tasks.end() || task->second.attempt == 0) continue;
    const PhaseSeconds seconds =
        EmulatedSeconds(user.id, task->second.predicted_s, task->second.factors, emulation);
    PlannedPhases planned{seconds, {}};
    planned.cores = AskedCoresOf(
        scenario.ProfileOf(user), task->second.decision.local_layers, seconds, emulation);
    AddLate(user.id, task->second, seconds, planned.cores, emulation.time_scale, &record.late);
    all.push_back(planned);
    most = std::max(most, std::exchange(planned.cores.local, 0.0));
    at_server[task->second.server].push_back(planned);
  }
  for (const auto& [server, users] : at_server) most = std::max(most, CoresAsked(users));
  record.cores_asked = CoresAsked(all);
  return record;
}

std::string EmulationLine(const EmulationRecord& emulation) {
  std::string line = fmt::format(
      "emulated: a second of the plan takes {:.3g} s; at its busiest it asks for {:.2f} of {} "
      "cores, for one node {:.2f}",
      emulation.time_scale,
      emulation.cores_asked,
      emulation.cores,
      emulation.node_cores_asked);
  // A node computes on one core of a machine that it shares.
  const double times_too_much =
      std::max(emulation.cores > 0 ? emulation.cores_asked / emulation.cores : 0.0,
               emulation.node_cores_asked);
  if (times_too_much > 1.0) {
    line += fmt::format(
        "; WARNING: more than there is, so phases will take longer than planned: "
        "a time scale of {:.2g} would do",
        emulation.time_scale * times_too_much);
  }
  if (emulation.late.empty()) return line;
  const LatePhase& worst = *std::max_element(
      emulation.late.begin(), emulation.late.end(), [](const LatePhase& a, const LatePhase& b) {
        return a.took_s * b.planned_s < b.took_s * a.planned_s;
      });
  line += fmt::format(
      "; {} {} late by more than {:.0f} %, the worst {} of user {}: {:.3g} "
      "s instead of {:.3g} s",
      Counted(emulation.late.size(), "phase"),
      emulation.late.size() == 1 ? "was" : "were",
      100.0 * kLate,
      worst.phase,
      worst.user,
      worst.took_s,
      worst.planned_s);
  if (worst.cores_asked && worst.cores_had) {
    line += fmt::format(", with {:.2f} cores for the {:.2f} that it asked for",
                        *worst.cores_had,
                        *worst.cores_asked);
  }
  return line;
}

std::string FinishedLine(const Task& task, const fleet::PhaseFinished& report, int layers) {
  const std::string size =
      report.measured.bytes.value_or(0) > 0
          ? fmt::format(", {:.1f} kB", static_cast<double>(*report.measured.bytes) / 1e3)
          : "";
  std::string loss;
  if (report.before.loss && report.after.loss) {
    loss = fmt::format(", held-out loss: base {:.3f}, with its adapter {:.3f}",
                       *report.before.loss,
                       *report.after.loss);
  }
  return fmt::format("user {} (server {}, k = {} of {}): {} finished after {:.2f} s{}{}",
                     report.user,
                     task.server,
                     task.decision.local_layers,
                     layers,
                     Name(report.phase),
                     report.measured.elapsed_s.value_or(0.0),
                     size,
                     loss);
}

std::string ProgressLineOf(const fleet::Round& round) {
  std::size_t waiting = 0, done = 0, failed = 0;
  std::map<fleet::Phase, std::size_t> phases;
  for (const auto& [user, task] : round.tasks) {
    switch (task.state) {
      case Task::State::kPending:
        ++waiting;
        break;
      case Task::State::kRunning:
        ++phases[task.phase];
        break;
      case Task::State::kDone:
        ++done;
        break;
      case Task::State::kFailed:
        ++failed;
        break;
    }
  }
  std::string line = fmt::format("round {}: of {} users", round.number, round.tasks.size());
  if (waiting > 0) line += fmt::format(", {} wait for a plan", waiting);
  for (const auto& [phase, users] : phases) line += fmt::format(", {} in {}", users, Name(phase));
  return line + fmt::format(", {} done, {} failed", done, failed);
}

}  // namespace dashf::runtime
