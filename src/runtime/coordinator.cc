#include "runtime/coordinator.h"

#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "base/digest.h"
#include "base/file.h"
#include "runtime/address.h"
#include "runtime/coordinator_core.h"
#include "runtime/coordinator_service.h"
#include "runtime/failpoint.h"
#include "runtime/messages.h"
#include "runtime/process.h"
#include "runtime/reported_scenario.h"
#include "runtime/round_ledger.h"
#include "runtime/service_state.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"
#include "scenario/scenario_io.h"

namespace dashf::runtime {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

// A registered node that does not follow, or an ended one that does not leave, is given up.
constexpr std::chrono::seconds kFollowWithin(30);
constexpr std::chrono::seconds kLeaveWithin(10);
constexpr int kTickMs = 50;

std::vector<std::string> Ids(const auto& nodes) {
  std::vector<std::string> ids;
  for (const auto& node : nodes) ids.push_back(node.id);
  return ids;
}

grpc::Status ToStatus(Verdict verdict) {
  const std::string text(Name(verdict));
  switch (verdict) {
    case Verdict::kAccepted:
    case Verdict::kDuplicate:
      return grpc::Status::OK;
    case Verdict::kStale:
      return {grpc::StatusCode::ABORTED, text};
    case Verdict::kOutOfOrder:
      return {grpc::StatusCode::FAILED_PRECONDITION, text};
    case Verdict::kWrongReporter:
      return {grpc::StatusCode::PERMISSION_DENIED, text};
    case Verdict::kUnknown:
      return {grpc::StatusCode::NOT_FOUND, text};
  }
  return {grpc::StatusCode::INTERNAL, text};
}

class Coordinator {
 public:
  Coordinator(const NodeConfig& config,
              const Planner& planner,
              const ProgressLine& progress,
              Telemetry telemetry,
              Scenario scenario)
      : config_(config),
        planner_(planner),
        progress_(progress),
        telemetry_(std::move(telemetry)),
        scenario_(std::move(scenario)),
        state_(StartRound(config.round,
                          scenario_.profiles.front().layers(),
                          Ids(scenario_.users),
                          Ids(scenario_.servers))),
        ledger_(Ids(scenario_.users), state_.layers),
        service_(
            {.register_node = [this](const auto& node,
                                     const auto& request,
                                     auto* reply) { return Register(node, request, reply); },
             .report = [this](const auto& node,
                              const auto& request,
                              auto* reply) { return Report(node, request, reply); },
             .may_follow = [this](const auto& node,
                                  const auto& request) { return MayFollow(node, request); },
             .revoked = [this](const auto& context) { return Revoked(context, revoked_.get()); },
             .stopped_following = [this](const auto& node) { StoppedFollowing(node); }}) {}

  Expected<RoundRecord> Run();

 private:
  // Calls from the service.
  grpc::Status Register(const NodeId& node,
                        const v1::RegisterRequest& request,
                        v1::RegisterReply* reply);
  grpc::Status Report(const NodeId& node, const v1::PhaseReport& request, v1::ReportReply* reply);
  grpc::Status MayFollow(const NodeId& node, const v1::FollowRequest& request);
  void StoppedFollowing(const NodeId& node);

  Expected<std::string> Listen(const LiveCredentials& credentials);
  void Tick();  // What time and signals bring.
  void PlanRound();
  Verdict Apply(const Event& event);  // Holds mutex_.
  void Perform(const Action& action);
  void Say(const std::string& line) { progress_(line); }
  void Note(std::string_view event, Json fields);
  v1::Instruction Empty() const;
  v1::Assignment AssignmentOf(const std::string& user) const;
  void EndServers(bool success);
  RoundRecord Record();

  const NodeConfig& config_;
  const Planner& planner_;
  const ProgressLine& progress_;
  const Telemetry telemetry_;
  StopSignals signals_;
  ServiceState service_state_;
  std::mutex mutex_;  // Guards all below; taken before the service's own.
  Scenario scenario_;
  std::optional<std::string> scenario_sha256_;
  CoordinatorState state_;
  std::map<std::string, std::vector<std::string>> addresses_;  // Of servers.
  std::map<NodeId, Clock::time_point> registered_;
  RoundLedger ledger_;
  PlannedRound planned_;
  int users_ended_ = 0;
  std::unique_ptr<RevokedCertificates> revoked_;  // Set before the service is reached.
  CoordinatorService service_;
  std::unique_ptr<grpc::Server> server_;  // Last: gone before what it calls.
};

Expected<RoundRecord> Coordinator::Run() {
  const auto credentials = LiveCredentials::Load(config_.tls, config_.node, progress_);
  if (!credentials) return tl::unexpected(credentials.error());
  auto revoked =
      RevokedCertificates::Open(config_.tls.revoked, credentials->Current().ca_pem, progress_);
  if (!revoked) return tl::unexpected(revoked.error());
  revoked_ = std::make_unique<RevokedCertificates>(std::move(*revoked));
  const auto address = Listen(*credentials);
  if (!address) return tl::unexpected(address.error());
  Note("listening", {{"address", *address}});
  Say(fmt::format("coordinator on {}: waiting for {} users and {} servers",
                  *address,
                  state_.users.size(),
                  state_.servers.size()));
  service_state_.Ready("on " + *address);
  const Clock::time_point deadline =
      Clock::now() + std::chrono::milliseconds(
                         static_cast<std::int64_t>(config_.coordinator_kit.registration_s * 1e3));
  for (;;) {
    if (const auto signal = signals_.Wait(kTickMs)) {
      const std::lock_guard lock(mutex_);
      Apply(RoundStopped{fmt::format("the round was stopped by signal {}", *signal)});
    }
    Tick();
    service_state_.Alive();
    const std::lock_guard lock(mutex_);
    if (state_.stage == CoordinatorState::Stage::kEnded) break;
    if (Clock::now() > deadline) Apply(RegistrationClosed{});
  }
  service_state_.Stopping();
  // The record is on disk before anything is torn down.
  RoundRecord record = Record();
  const std::filesystem::path folder = config_.coordinator_kit.out_folder;
  const auto written = WriteFileAtomically(folder / "round.json", WriteRound(record));
  EndServers(record.Done());
  for (const auto until = Clock::now() + kLeaveWithin;
       service_.AnyFollower() && Clock::now() < until;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  server_->Wait();
  if (!written) return tl::unexpected(written.error());
  return record;
}

Expected<std::string> Coordinator::Listen(const LiveCredentials& credentials) {
  const std::string& listen = config_.coordinator_kit.listen;
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, listen, credentials, &port);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) return Fail(ErrorKind::kIo, listen, "cannot listen there");
  const std::string address = Advertised(listen, port, config_.coordinator_kit.advertise).front();
  const auto written = WriteFileAtomically(config_.coordinator_kit.address_path, address);
  if (!written) return tl::unexpected(written.error());
  return address;
}

void Coordinator::Tick() {
  bool plan = false;
  {
    const std::lock_guard lock(mutex_);
    plan = state_.stage == CoordinatorState::Stage::kPlanning;
    for (auto node = registered_.begin(); node != registered_.end();) {
      const bool late = Clock::now() > node->second + kFollowWithin;
      if (service_.Followed(node->first)) {
        node = registered_.erase(node);
      } else if (late) {
        Apply(NodeLost{node->first});
        node = registered_.erase(node);
      } else {
        ++node;
      }
    }
  }
  if (plan) PlanRound();
}

// Planning takes its time, so the lock is not held: nodes may be lost meanwhile.
void Coordinator::PlanRound() {
  Scenario scenario;
  {
    const std::lock_guard lock(mutex_);
    scenario = scenario_;
  }
  Say(fmt::format("all nodes registered; planning with {}", config_.coordinator_kit.method));
  const std::string text = WriteScenario(scenario);
  const std::string sha256 = Sha256Hex(text);
  const std::filesystem::path folder = config_.coordinator_kit.out_folder;
  auto planned = [&]() -> Expected<PlannedRound> {
    if (auto sound = Validate(scenario); !sound) return tl::unexpected(sound.error());
    if (auto written = WriteFileAtomically(folder / "scenario.json", text); !written) {
      return tl::unexpected(written.error());
    }
    return planner_(scenario, sha256);
  }();
  const std::lock_guard lock(mutex_);
  scenario_sha256_ = sha256;
  if (!planned) {
    Apply(PlanFailed{planned.error().Text()});
    return;
  }
  planned_ = std::move(*planned);
  PlanMade event;
  for (std::size_t n = 0; n < planned_.plan.size(); ++n) {
    const Decision& decision = planned_.plan[n];
    const std::string& server = scenario_.servers.at(static_cast<std::size_t>(decision.server)).id;
    event.users.push_back({scenario_.users.at(n).id, server, decision.local_layers});
  }
  Note("planned", {{"method", config_.coordinator_kit.method}, {"scenario_sha256", sha256}});
  Failpoint(config_.node, "planned");
  if (Apply(event) != Verdict::kAccepted) Apply(PlanFailed{"the plan does not fit the scenario"});
}

grpc::Status Coordinator::Register(const NodeId& node,
                                   const v1::RegisterRequest& request,
                                   v1::RegisterReply* reply) {
  const std::lock_guard lock(mutex_);
  reply->set_round(state_.round);
  // Reports are taken once, before the plan; a repeated registration changes nothing.
  if (state_.stage == CoordinatorState::Stage::kRegistering && !registered_.contains(node)) {
    Expected<void> applied;
    if (node.role == Role::kUser && request.has_user()) {
      applied = ApplyReport(node.id, request.user(), state_.layers, &scenario_);
    } else if (node.role == Role::kServer && request.has_server()) {
      applied = ApplyReport(node.id, request.server(), &scenario_);
      const auto& told = request.server().address();
      addresses_[node.id] = {told.begin(), told.end()};
      for (const std::string& address : told) {
        const auto sound = ParseReachable("server " + node.id + ": address", address);
        if (applied && !sound) applied = tl::unexpected(sound.error());
      }
      if (applied && told.empty()) {
        applied = Fail(ErrorKind::kBadInput, Name(node), "must report an address");
      }
    } else {
      applied = Fail(ErrorKind::kBadInput, Name(node), "must report its role's capabilities");
    }
    if (!applied) return {grpc::StatusCode::INVALID_ARGUMENT, applied.error().Text()};
    registered_[node] = Clock::now();
  }
  return ToStatus(Apply(NodeRegistered{node}));
}

grpc::Status Coordinator::MayFollow(const NodeId& node, const v1::FollowRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.round() != state_.round) return ToStatus(Verdict::kStale);
  const bool registered = node.role == Role::kUser
                              ? state_.users.contains(node.id) &&
                                    state_.users.at(node.id).node == NodeState::kRegistered
                              : state_.servers.contains(node.id) &&
                                    state_.servers.at(node.id) == NodeState::kRegistered;
  if (registered) return grpc::Status::OK;
  return {grpc::StatusCode::FAILED_PRECONDITION, "the node is not registered, or was lost"};
}

// A node whose part is over may leave; any other that leaves is lost.
void Coordinator::StoppedFollowing(const NodeId& node) {
  const std::lock_guard lock(mutex_);
  if (state_.stage == CoordinatorState::Stage::kEnded) return;
  if (node.role == Role::kUser) {
    const UserProgress& user = state_.users.at(node.id);
    if (user.state == UserProgress::State::kDone || user.state == UserProgress::State::kFailed) {
      return;
    }
  }
  Say(fmt::format("{} is lost", Name(node)));
  Note("node_lost", {{"lost", Name(node)}});
  Apply(NodeLost{node});
}

grpc::Status Coordinator::Report(const NodeId& node,
                                 const v1::PhaseReport& request,
                                 v1::ReportReply* reply) {
  const auto phase = runtime::FromWire(request.phase());
  if (!phase) return {grpc::StatusCode::INVALID_ARGUMENT, "no such phase"};
  const std::lock_guard lock(mutex_);
  const StepResult result =
      Step(state_, PhaseFinished{node, request.round(), request.user(), *phase, request.failure()});
  if (result.verdict == Verdict::kAccepted) {
    if (request.failure().empty()) {
      ledger_.Enter(request, *phase);
      Say(FinishedLine(state_, request, *phase));
    }
    Note("phase_finished",
         {{"user", request.user()},
          {"phase", Key(*phase)},
          {"elapsed_s", request.elapsed_s()},
          {"bytes", request.bytes()},
          {"failure", request.failure()}});
  }
  for (const Action& action : result.actions) Perform(action);
  reply->set_duplicate(result.verdict == Verdict::kDuplicate);
  return ToStatus(result.verdict);
}

Verdict Coordinator::Apply(const Event& event) {
  const StepResult result = Step(state_, event);
  for (const Action& action : result.actions) Perform(action);
  return result.verdict;
}

v1::Instruction Coordinator::Empty() const {
  v1::Instruction instruction;
  instruction.set_round(state_.round);
  return instruction;
}

v1::Assignment Coordinator::AssignmentOf(const std::string& user) const {
  const UserProgress& progress = state_.users.at(user);
  v1::Assignment assignment;
  assignment.set_user(user);
  assignment.set_server(progress.server);
  for (const std::string& address : addresses_.at(progress.server)) {
    assignment.add_server_address(address);
  }
  assignment.set_local_layers(static_cast<std::uint32_t>(progress.local_layers));
  assignment.set_layers(static_cast<std::uint32_t>(state_.layers));
  assignment.set_attempt(1);
  return assignment;
}

void Coordinator::Perform(const Action& action) {
  v1::Instruction instruction = Empty();
  if (const auto* expect = std::get_if<ExpectUser>(&action)) {
    *instruction.mutable_expect() = AssignmentOf(expect->user);
    service_.Send(ServerNode(expect->server), instruction, false);
  } else if (const auto* start = std::get_if<StartUser>(&action)) {
    *instruction.mutable_start() = AssignmentOf(start->user);
    service_.Send(UserNode(start->user), instruction, false);
    const UserProgress& user = state_.users.at(start->user);
    Say(fmt::format("user {} starts: server {}, k = {} of {} layers at home",
                    start->user,
                    user.server,
                    user.local_layers,
                    state_.layers));
  } else if (const auto* collect = std::get_if<CollectResult>(&action)) {
    instruction.mutable_collect()->set_user(collect->user);
    service_.Send(UserNode(collect->user), instruction, false);
  } else if (const auto* drop = std::get_if<DropUser>(&action)) {
    instruction.mutable_drop()->set_user(drop->user);
    instruction.mutable_drop()->set_reason(drop->reason);
    instruction.mutable_drop()->set_attempt(1);
    service_.Send(ServerNode(drop->server), instruction, false);
  } else if (const auto* ended = std::get_if<UserEnded>(&action)) {
    instruction.mutable_end()->set_success(ended->failure.empty());
    instruction.mutable_end()->set_reason(ended->failure);
    service_.Send(UserNode(ended->user), instruction, true);
    ++users_ended_;
    Say(fmt::format("user {} {} ({} of {} users)",
                    ended->user,
                    ended->failure.empty() ? "done" : "FAILED: " + ended->failure,
                    users_ended_,
                    state_.users.size()));
    Note("user_ended", {{"user", ended->user}, {"failure", ended->failure}});
  } else if (const auto* round = std::get_if<RoundEnded>(&action)) {
    Note("round_ended", {{"success", round->success}});
  }
}

void Coordinator::Note(std::string_view event, Json fields) {
  fields["round"] = state_.round;
  telemetry_.Write(event, std::move(fields));
}

void Coordinator::EndServers(bool success) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, node] : state_.servers) {
    v1::Instruction instruction = Empty();
    instruction.mutable_end()->set_success(success);
    if (node == NodeState::kRegistered) service_.Send(ServerNode(id), instruction, true);
  }
}

RoundRecord Coordinator::Record() {
  const std::lock_guard lock(mutex_);
  RoundRecord record =
      ledger_.Record(state_, scenario_, planned_, config_.coordinator_kit.machine_flop_per_s);
  record.scenario_sha256 = scenario_sha256_;
  record.model = config_.model_folder;
  record.seed = config_.training.seed;
  return record;
}

}  // namespace

Expected<RoundRecord> RunCoordinator(const NodeConfig& config,
                                     const Planner& planner,
                                     const ProgressLine& progress) {
  auto loaded = ReadScenario(config.coordinator_kit.scenario_path);
  if (!loaded) return tl::unexpected(loaded.error());
  auto telemetry = Telemetry::Open(config.telemetry_path, config.node);
  if (!telemetry) return tl::unexpected(telemetry.error());
  Coordinator coordinator(
      config, planner, progress, std::move(*telemetry), std::move(loaded->scenario));
  return coordinator.Run();
}

}  // namespace dashf::runtime
