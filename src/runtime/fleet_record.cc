#include "runtime/fleet_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

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
  user->upload_bytes = of(Phase::kUpload).bytes;
  user->download_bytes = of(Phase::kDownload).bytes;
}

UserRecord UserRecordOf(const Task& task,
                        const Scenario& scenario,
                        std::size_t n,
                        double machine_flop_per_s) {
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
  if (machine_flop_per_s > 0.0) {
    AtPlannedRates(scenario, n, decision, machine_flop_per_s, &user);
  }
  return user;
}

}  // namespace

RoundRecord RecordOf(const fleet::Round& round,
                     const fleet::State& state,
                     const Scenario& scenario,
                     double machine_flop_per_s) {
  RoundRecord record;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const std::string& id = scenario.users[n].id;
    UserRecord user;
    if (const auto task = round.tasks.find(id); task != round.tasks.end()) {
      user = UserRecordOf(task->second, scenario, n, machine_flop_per_s);
    } else {
      const auto absent = round.absent.find(id);
      user.failure = "had no part: " + (absent == round.absent.end() ? "absent" : absent->second);
    }
    user.id = id;
    user.layers = state.layers;
    record.users.push_back(std::move(user));
  }
  for (const Server& server : scenario.servers) {
    ServerRecord row{server.id, std::nullopt};
    const auto member = state.servers.find(server.id);
    if (member != state.servers.end()) {
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

std::string FinishedLine(const Task& task, const fleet::PhaseFinished& report, int layers) {
  const std::string size =
      report.measured.bytes.value_or(0) > 0
          ? fmt::format(", {:.1f} kB", static_cast<double>(*report.measured.bytes) / 1e3)
          : "";
  const std::string loss = report.after.loss ? fmt::format(", held-out loss {:.3f} -> {:.3f}",
                                                           report.before.loss.value_or(0.0),
                                                           *report.after.loss)
                                             : "";
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
