#include "runtime/round_ledger.h"

#include <fmt/format.h>

#include <utility>

namespace dashf::runtime {
namespace {

Quality FromWire(const v1::Evaluation& evaluation) {
  Quality quality;
  quality.loss = evaluation.loss();
  if (evaluation.has_exact_match()) quality.exact_match = evaluation.exact_match();
  if (evaluation.has_choice_accuracy()) quality.choice_accuracy = evaluation.choice_accuracy();
  return quality;
}

}  // namespace

RoundLedger::RoundLedger(const std::vector<std::string>& users, int layers) {
  for (const std::string& id : users) {
    UserRecord& record = users_[id];
    record.id = id;
    record.layers = layers;
  }
}

void RoundLedger::Enter(const v1::PhaseReport& report, Phase phase) {
  UserRecord& record = users_.at(report.user());
  switch (phase) {
    case Phase::kLocal:
      record.measured_s.local = report.elapsed_s();
      record.local_cpu_s = report.cpu_s();
      break;
    case Phase::kUpload:
      record.measured_s.upload = report.elapsed_s();
      record.upload_bytes = report.bytes();
      break;
    case Phase::kServer:
      record.measured_s.server = report.elapsed_s();
      record.server_cpu_s = report.cpu_s();
      break;
    case Phase::kDownload:
      record.measured_s.download = report.elapsed_s();
      record.download_bytes = report.bytes();
      break;
    case Phase::kVerify:
      if (report.has_before()) record.before = FromWire(report.before());
      if (report.has_after()) record.after = FromWire(report.after());
      break;
  }
}

RoundRecord RoundLedger::Record(const CoordinatorState& state,
                                const Scenario& scenario,
                                const PlannedRound& planned,
                                double machine_flop_per_s) const {
  RoundRecord record;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    UserRecord user = users_.at(scenario.users[n].id);
    const UserProgress& progress = state.users.at(user.id);
    user.server = progress.server;
    user.local_layers = progress.local_layers;
    if (progress.state != UserProgress::State::kDone) user.failure = progress.failure;
    if (n < planned.plan.size()) {
      user.predicted_s = planned.predicted_s.at(n);
      AtPlannedRates(scenario, n, planned.plan[n], machine_flop_per_s, &user);
    }
    record.users.push_back(std::move(user));
  }
  for (const Server& server : scenario.servers) {
    ServerRecord row{server.id, std::nullopt};
    const NodeState node = state.servers.at(server.id);
    if (node == NodeState::kExpected) row.failure = "never registered";
    if (node == NodeState::kLost) row.failure = "lost";
    record.servers.push_back(std::move(row));
  }
  return record;
}

std::string FinishedLine(const CoordinatorState& state,
                         const v1::PhaseReport& report,
                         Phase phase) {
  const UserProgress& user = state.users.at(report.user());
  const std::string size =
      report.bytes() > 0 ? fmt::format(", {:.1f} kB", static_cast<double>(report.bytes()) / 1e3)
                         : "";
  const std::string loss = report.has_after() ? fmt::format(", held-out loss {:.3f} -> {:.3f}",
                                                            report.before().loss(),
                                                            report.after().loss())
                                              : "";
  return fmt::format("user {} (server {}, k = {} of {}): {} finished after {:.2f} s{}{}",
                     report.user(),
                     user.server,
                     user.local_layers,
                     state.layers,
                     Name(phase),
                     report.elapsed_s(),
                     size,
                     loss);
}

}  // namespace dashf::runtime
