#include "runtime/coordinator.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/check.h"
#include "base/counted.h"
#include "base/file.h"
#include "base/termination.h"
#include "runtime/address.h"
#include "runtime/back_off.h"
#include "runtime/coordinator_process.h"
#include "runtime/descriptors.h"
#include "runtime/failpoint.h"
#include "runtime/failpoint_log.h"
#include "runtime/fleet_record.h"
#include "runtime/node_places.h"
#include "runtime/taking_part.h"
#include "runtime/work.h"
#include "scenario/scenario_io.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr int kTickMs = 50;
constexpr std::chrono::milliseconds kSlowTick(450);
constexpr std::chrono::seconds kLeaveWithin(10);
constexpr std::chrono::seconds kStandstill(1);  // Between two ticks.
constexpr std::chrono::seconds kBetweenLines(10);
constexpr fleet::Millis kClockMayDiffer = 5'000;

// Of a run that nobody will want to resume.
class NoLog final : public fleet::EventLog {
 public:
  Expected<void> Append(std::span<const fleet::LoggedEvent>) override { return {}; }
  Expected<void> Snapshot(const fleet::State&) override { return {}; }
  bool SnapshotIsDue() const override { return false; }
};

}  // namespace

Coordinator::~Coordinator() {
  loop_.Close();
  recent_->Close();
  thens_.clear();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  if (planning_.joinable()) planning_.join();
}

Expected<void> Coordinator::Open() {
  const CoordinatorKit& kit = config_.coordinator_kit;
  fleet::State state;
  bool is_new = true;
  if (kit.log_path.empty()) {
    event_log_ = std::make_unique<NoLog>();
  } else {
    std::error_code failed;
    fs::create_directories(fs::path(kit.log_path).parent_path(), failed);
    auto log = fleet::SqliteLog::Open(kit.log_path, &state);
    if (!log) return tl::unexpected(log.error());
    is_new = (*log)->events() == 0;
    last_at_ = (*log)->last_at();
    if (last_at_ > began_at_ + kClockMayDiffer) {
      log_.Warning("log",
                   fmt::format("this machine's clock is {:.0f} s behind the log's last event: "
                               "times go on from there",
                               1e-3 * static_cast<double>(last_at_ - began_at_)));
    }
    began_at_ = std::max(began_at_, last_at_);
    event_log_ = std::move(*log);
    if (std::getenv("DASHF_FAILPOINT") != nullptr) {
      event_log_ = std::make_unique<FailpointLog>(config_.node, std::move(event_log_));
    }
  }
  const Scenario& scenario = deployment_.scenario();
  const int layers = scenario.profiles.front().layers();
  if (!is_new && state.layers != layers) {
    return Fail(
        ErrorKind::kBadInput,
        kit.log_path,
        fmt::format("is of a model of {} layers, the scenario's has {}", state.layers, layers));
  }
  keeper_.emplace(std::move(state), event_log_.get());
  fleet::Configured configured{kit.policy, layers, {}, {}, settings_, {}};
  if (kit.time_scale > 0.0) configured.policy.time_scale = kit.time_scale;
  if (is_new) configured.fleet = fmt::format("{:016x}", RandomNumber());
  for (const User& user : scenario.users) configured.users.push_back(user.id);
  for (const Server& server : scenario.servers) configured.servers.push_back(server.id);
  // Whoever was here is believed for one lease.
  for (const auto* members : {&this->state().users, &this->state().servers}) {
    const Role role = members == &this->state().users ? Role::kUser : Role::kServer;
    for (const auto& [id, member] : *members) {
      if (member.presence == fleet::Presence::kHere) Renew(sessions_[{role, id}]);
      if (member.report.empty() || !deployment_.Has({role, id})) continue;
      if (auto heard = deployment_.Hear({role, id}, member.report); !heard) {
        return Fail(ErrorKind::kBadInput, kit.log_path, heard.error().Text());
      }
    }
  }
  if (!is_new) GoOn();
  Queue(std::move(configured), {});
  return {};
}

// From a log that has events: what was begun, and what was owed when they ended.
void Coordinator::GoOn() {
  const std::uint32_t begun = state().rounds_begun;
  log_.Info(
      "log",
      fmt::format(
          "the log goes on: {} {} begun", Counted(begun, "round"), begun == 1 ? "has" : "have"),
      {{"rounds", begun}});
  const std::string& before = state().settings;
  if (!before.empty() && before != settings_) {
    log_.Info("settings", "the training settings are others: nodes that come ask for them again");
    if (EpochsDiffer(before, settings_)) {
      log_.Warning(
          "settings",
          "their epochs are, too: plans count the work of users' profiles as they were measured, "
          "so measure them anew (docs/deploy.md, \"Other training settings\")");
    }
  }
  for (const fleet::Effect& owed : Owed(state())) {
    const auto* ended = std::get_if<fleet::RoundEnded>(&owed);
    if (ended != nullptr && (IsRemoved(ended->round->number) || TakeRecord(*ended->round))) {
      continue;
    }
    Act(owed);
  }
}

// Of its own base model, where it has one, all others' must be.
Expected<void> Coordinator::KnowOwnWork() {
  std::error_code unknown;
  const bool has_model = !config_.model_folder.empty() && fs::exists(config_.model_folder, unknown);
  if (unknown) return Fail(ErrorKind::kIo, config_.model_folder, unknown.message());
  if (has_model) {
    if (auto plain = CheckPlainFiles(config_.model_folder); !plain) {
      return tl::unexpected(plain.error());
    }
    const auto work = WorkOf(config_);
    if (!work) return tl::unexpected(work.error());
    work_ = *work;
  } else if (!config_.model_folder.empty()) {
    log_.Warning(
        "process",
        fmt::format("the base model is not here ({}): that of the first node that comes is what "
                    "all others' must be",
                    config_.model_folder));
  }
  return {};
}

Expected<FleetEnd> Coordinator::Run() {
  RaiseDescriptorLimit();
  std::optional<EndedBySignals> starting(std::in_place);
  const auto credentials = LiveCredentials::Load(config_.tls, config_.node, NoticeTo(log_));
  if (!credentials) return tl::unexpected(credentials.error());
  auto revoked = RevokedCertificates::Open(
      config_.tls.revoked, credentials->Current().ca_pem, [this](const std::string& line) {
        log_.Warning("credentials", line);
      });
  if (!revoked) return tl::unexpected(revoked.error());
  revoked_ = std::make_unique<RevokedCertificates>(std::move(*revoked));
  if (auto known = KnowOwnWork(); !known) return tl::unexpected(known.error());
  if (auto opened = Open(); !opened) return tl::unexpected(opened.error());
  const auto address = Listen(*credentials);
  if (!address) return tl::unexpected(address.error());
  starting.reset();
  Note("listening", {{"address", *address}});
  if (TakeQueued()) {  // Whether the fleet is over may depend on how many rounds are to be.
    log_.Info("process",
              Finished() ? fmt::format("coordinator on {}: the fleet is over", *address)
                         : fmt::format("coordinator on {}: waiting for {} and {}",
                                       *address,
                                       Counted(deployment_.scenario().users.size(), "user"),
                                       Counted(deployment_.scenario().servers.size(), "server")),
              {{"address", *address}});
  }
  BeginWatch();
  service_state_.Ready("on " + *address);
  while (TakeQueued()) {
    SendChanges(Finished());
    if (Finished()) {
      operators_.SayFleetEnded();
      if (MayLeave()) break;
    }
    loop_.DoPosted(std::chrono::milliseconds(kTickMs));
    service_state_.Alive();
    Tick();
    const auto signal = signals_.Wait(0);
    if (!signal) continue;
    if (Finished()) break;
    end_.signal = signal;
    Note("stopped", {{"signal", *signal}});
    if (!config_.coordinator_kit.log_path.empty()) break;  // Its state is safe; others go on.
    Queue(fleet::Stopped{fmt::format("the round was stopped by signal {}", *signal), true, ""}, {});
  }
  service_state_.Stopping();
  ShowWhole();
  // Whoever waits for an answer is to ask again.
  loop_.Close();
  recent_->Close();
  thens_.clear();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  server_->Wait();
  if (planning_.joinable()) planning_.join();
  if (broken_) return tl::unexpected(*broken_);
  end_.wanted = !state().over_by.empty();
  return end_;
}

bool Coordinator::Finished() const {
  return state().over && (!state().round || state().round->stage == fleet::Round::Stage::kEnded);
}

std::vector<std::string> Coordinator::Untold() const {
  std::vector<std::string> untold;
  for (const auto* members : {&state().users, &state().servers}) {
    const Role role = members == &state().users ? Role::kUser : Role::kServer;
    for (const auto& [id, member] : *members) {
      const NodeId node{role, id};
      if (member.refused.empty() && deployment_.Has(node) && !told_.contains(node)) {
        untold.push_back(Name(node));
      }
    }
  }
  return untold;
}

bool Coordinator::MayLeave() {
  const Clock::time_point now = Clock::now();
  const double farewell_s = config_.coordinator_kit.farewell_s;
  if (!finished_at_) {
    finished_at_ = now;
    std::vector<std::string> untold = Untold();
    const std::size_t others = untold.size() - std::min(untold.size(), kNamesMax);
    untold.resize(untold.size() - others);
    if (!untold.empty() && farewell_s > 0.0) {
      log_.Info(
          "nodes",
          fmt::format("the fleet is over; not here yet, and may come for {:g} s to hear so: {}{}",
                      farewell_s,
                      fmt::join(untold, ", "),
                      others > 0 ? fmt::format(" and {} more", others) : ""));
    }
  }
  const bool listening = service_.sessions() > 0 && now <= *finished_at_ + kLeaveWithin;
  const std::chrono::duration<double> elapsed = now - *finished_at_;
  return !listening && (elapsed.count() >= farewell_s || Untold().empty());
}

Expected<std::string> Coordinator::Listen(const LiveCredentials& credentials) {
  const std::string& listen = config_.coordinator_kit.listen;
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, listen, credentials, &port);
  builder.RegisterService(&service_);
  builder.RegisterService(&operators_);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);  // Operators are few.
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) return tl::unexpected(CannotListen(listen));
  const std::string address = Advertised(listen, port, config_.coordinator_kit.advertise).front();
  const auto written = WriteFileAtomically(config_.coordinator_kit.address_path, address);
  if (!written) return tl::unexpected(written.error());
  return address;
}

void Coordinator::Queue(fleet::Event event, Then then) {
  last_at_ = FleetTime();
  events_.push_back({last_at_, std::move(event)});
  thens_.push_back(std::move(then));
}

// The wall's clock when this process began, or the log's end if that is later, and from then on by
// the steady one without the time in which it stood still: a clock that is set, and a machine that
// sleeps, make nobody late.
fleet::Millis Coordinator::FleetTime() const {
  const auto passed = Clock::now() - began_ - stood_still_;
  const auto passed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
  return std::max(last_at_, began_at_ + passed_ms);
}

bool Coordinator::TakeQueued() {
  while (!events_.empty() && !broken_) {
    std::vector<Then> thens;
    thens.swap(thens_);
    std::vector<fleet::LoggedEvent> events;
    events.swap(events_);
    show_wanted_ = true;
    std::vector<NodeId> joining;
    for (const fleet::LoggedEvent& logged : events) {
      Changed(logged);
      if (const auto* event = std::get_if<fleet::Joined>(&logged.event)) {
        joining.push_back(event->node);
      }
    }
    const auto results = keeper_->Take(std::move(events));
    if (!results) {
      broken_ = results.error();
      break;
    }
    // The state has all of them by now, and a plan may follow from the first.
    for (const NodeId& node : joining) {
      const std::string& report = state().Find(node)->report;
      DASHF_CHECK(report.empty() ||
                  deployment_.Hear(node, report).has_value());  // Hello() checked.
    }
    for (std::size_t i = 0; i < results->size(); ++i) {
      if (thens[i]) thens[i]((*results)[i]);
      for (const fleet::Effect& effect : (*results)[i].effects) Act(effect);
    }
  }
  return !broken_;
}

// What is for every node to look at, however many there are, is looked at so often.
void Coordinator::Tick() {
  const auto now = Clock::now();
  if (now < tick_) return;
  if (tick_ != Clock::time_point() && now - tick_ > kStandstill) {
    ForgiveSilence(now - tick_);
    stood_still_ += now - tick_;
  }
  tick_ = now + std::chrono::milliseconds(kTickMs);
  if (const auto left = CheckDescriptorsLeft(); !left) broken_ = left.error();
  if (tick_ > slow_tick_) {
    slow_tick_ = tick_ + kSlowTick;
    changed_.merge(forgetting_);
    EndRevoked();
    CheckLeases();
    SayProgress();
    if (!shown_next_) ShowSome();
  }
  if (shown_next_) ShowSome();
  const auto due = NextDue(state());
  if (due && *due <= FleetTime() && events_.empty()) Queue(fleet::TimePassed{}, {});
}

// Of a fleet that is too large for a line about each.
void Coordinator::SayProgress() {
  if (!IsLarge() || Clock::now() < next_line_ || !state().round) return;
  if (state().round->stage != fleet::Round::Stage::kRunning) return;
  next_line_ = Clock::now() + kBetweenLines;
  log_.Info("rounds", ProgressLineOf(*state().round), {{"round", state().round->number}});
}

void Coordinator::Act(const fleet::Effect& effect) {
  if (const auto* plan = std::get_if<fleet::MakePlan>(&effect)) StartPlanning(*plan);
  if (const auto* ended = std::get_if<fleet::RoundEnded>(&effect)) {
    all_changed_ = true;
    EndRound(*ended->round);
  }
}

void Coordinator::Note(std::string_view event, Json fields) {
  if (!fields.contains("round")) fields["round"] = keeper_ ? state().rounds_begun : 0;
  telemetry_.Write(event, std::move(fields));
}

namespace {

// A quorum that the fleet cannot have would be waited for without end.
Expected<void> CheckQuorum(const CoordinatorKit& kit, const Scenario& scenario) {
  for (const auto& [key, wanted, there, what] :
       {std::tuple("users_min", kit.policy.users_min, scenario.users.size(), "users"),
        std::tuple("servers_min", kit.policy.servers_min, scenario.servers.size(), "servers")}) {
    if (wanted <= there) continue;
    return Fail(
        ErrorKind::kBadInput,
        fmt::format("coordinator_kit.policy.{}", key),
        fmt::format(
            "must be at most {}, the {} of {}, got {}", there, what, kit.scenario_path, wanted));
  }
  return {};
}

// A new log beside an old one's rounds would begin another fleet over them.
Expected<void> CheckLogIsThere(const CoordinatorKit& kit) {
  std::error_code failed;
  if (kit.log_path.empty()) return {};
  const bool exists = fs::exists(kit.log_path, failed);
  if (exists && fs::file_size(kit.log_path, failed) > 0) return {};
  const fs::path rounds = fs::path(kit.out_folder) / "rounds";
  if (!fs::is_directory(rounds, failed) || fs::is_empty(rounds, failed)) return {};
  return Fail(
      ErrorKind::kBadInput,
      kit.log_path,
      fmt::format("{}, but {} has the rounds of a fleet that had one: put its log back from a "
                  "copy; to begin a new fleet, move {} away",
                  exists ? "is empty" : "is not there",
                  rounds.string(),
                  rounds.string()));
}

}  // namespace

Expected<FleetEnd> RunCoordinator(const NodeConfig& config,
                                  const Planner& planner,
                                  const Log& log,
                                  const FleetWatch* watch) {
  auto loaded = ReadScenario(config.coordinator_kit.scenario_path);
  if (!loaded) return tl::unexpected(loaded.error());
  if (config.coordinator_kit.handover_penalty > 0.0 &&
      loaded->scenario.objective.delay != DelayMode::kSum) {
    return Fail(ErrorKind::kBadInput,
                config.coordinator_kit.scenario_path,
                "must have the sum of delays, for the coordinator's handover_penalty is above 0");
  }
  auto sound = CheckQuorum(config.coordinator_kit, loaded->scenario);
  if (sound) {
    sound = CheckSlowdown(
        "coordinator_kit.slowdown", config.coordinator_kit.slowdown, loaded->scenario);
  }
  if (sound) sound = CheckLogIsThere(config.coordinator_kit);
  if (!sound) return tl::unexpected(sound.error());
  auto telemetry =
      Telemetry::Open(config.telemetry_path, config.node, config.telemetry_limits, log);
  if (!telemetry) return tl::unexpected(telemetry.error());
  Coordinator coordinator(
      config, planner, log, std::move(*telemetry), std::move(loaded->scenario), watch);
  return coordinator.Run();
}

}  // namespace dashf::runtime
