#include "runtime/coordinator.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "base/check.h"
#include "base/counted.h"
#include "base/digest.h"
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
#include "runtime/plan_scope.h"
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
constexpr std::size_t kLookBack = 100;
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
    log_ = std::make_unique<NoLog>();
  } else {
    std::error_code failed;
    fs::create_directories(fs::path(kit.log_path).parent_path(), failed);
    auto log = fleet::SqliteLog::Open(kit.log_path, &state);
    if (!log) return tl::unexpected(log.error());
    is_new = (*log)->events() == 0;
    last_at_ = (*log)->last_at();
    if (last_at_ > began_at_ + kClockMayDiffer) {
      Say(fmt::format(
          "this machine's clock is {:.0f} s behind the log's last event: times go on from there",
          1e-3 * static_cast<double>(last_at_ - began_at_)));
    }
    began_at_ = std::max(began_at_, last_at_);
    log_ = std::move(*log);
    if (std::getenv("DASHF_FAILPOINT") != nullptr) {
      log_ = std::make_unique<FailpointLog>(config_.node, std::move(log_));
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
  keeper_.emplace(std::move(state), log_.get());
  fleet::Configured configured{kit.policy, layers, {}, {}, settings_, {}};
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
  if (!is_new) {
    const std::uint32_t begun = this->state().rounds_begun;
    Say(fmt::format(
        "the log goes on: {} {} begun", Counted(begun, "round"), begun == 1 ? "has" : "have"));
    const std::string& before = this->state().settings;
    if (!before.empty() && before != settings_) {
      Say("the training settings are others: nodes that come ask for them again");
      if (EpochsDiffer(before, settings_)) {
        Say("their epochs are, too: plans count the work of users' profiles as they were measured, "
            "so measure them anew (docs/deploy.md, \"Other training settings\")");
      }
    }
    for (const fleet::Effect& owed : Owed(this->state())) Act(owed);
  }
  Queue(std::move(configured), {});
  return {};
}

Expected<FleetEnd> Coordinator::Run() {
  RaiseDescriptorLimit();
  std::optional<EndedBySignals> starting(std::in_place);
  const auto credentials = LiveCredentials::Load(config_.tls, config_.node, progress_);
  if (!credentials) return tl::unexpected(credentials.error());
  auto revoked =
      RevokedCertificates::Open(config_.tls.revoked, credentials->Current().ca_pem, progress_);
  if (!revoked) return tl::unexpected(revoked.error());
  revoked_ = std::make_unique<RevokedCertificates>(std::move(*revoked));
  if (!config_.model_folder.empty() && fs::exists(config_.model_folder)) {
    if (auto plain = CheckPlainFiles(config_.model_folder); !plain) {
      return tl::unexpected(plain.error());
    }
    const auto work = WorkOf(config_);
    if (!work) return tl::unexpected(work.error());
    work_ = *work;
  } else if (!config_.model_folder.empty()) {
    Say(
        fmt::format("the base model is not here ({}): that of the first node that comes is what "
                    "all others' must be",
                    config_.model_folder));
  }
  if (auto opened = Open(); !opened) return tl::unexpected(opened.error());
  const auto address = Listen(*credentials);
  if (!address) return tl::unexpected(address.error());
  starting.reset();
  Note("listening", {{"address", *address}});
  if (TakeQueued()) {  // Whether the fleet is over may depend on how many rounds are to be.
    Say(Finished() ? fmt::format("coordinator on {}: the fleet is over", *address)
                   : fmt::format("coordinator on {}: waiting for {} and {}",
                                 *address,
                                 Counted(deployment_.scenario().users.size(), "user"),
                                 Counted(deployment_.scenario().servers.size(), "server")));
  }
  service_state_.Ready("on " + *address);
  while (TakeQueued()) {
    SendChangedOrders(Finished());
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

std::size_t Coordinator::CountUntold() const {
  std::size_t untold = 0;
  for (const auto* members : {&state().users, &state().servers}) {
    const Role role = members == &state().users ? Role::kUser : Role::kServer;
    for (const auto& [id, member] : *members) {
      const NodeId node{role, id};
      if (member.refused.empty() && deployment_.Has(node) && !told_.contains(node)) ++untold;
    }
  }
  return untold;
}

bool Coordinator::MayLeave() {
  const Clock::time_point now = Clock::now();
  const double farewell_s = config_.coordinator_kit.farewell_s;
  if (!finished_at_) {
    finished_at_ = now;
    const std::size_t untold = CountUntold();
    if (untold > 0 && farewell_s > 0.0) {
      Say(fmt::format("the fleet is over; {} not here may come for {:g} s to hear so",
                      untold == 1 ? "1 node that is" : fmt::format("{} nodes that are", untold),
                      farewell_s));
    }
  }
  const bool listening = service_.sessions() > 0 && now <= *finished_at_ + kLeaveWithin;
  const std::chrono::duration<double> elapsed = now - *finished_at_;
  return !listening && (elapsed.count() >= farewell_s || CountUntold() == 0);
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
  }
  const auto due = NextDue(state());
  if (due && *due <= FleetTime() && events_.empty()) Queue(fleet::TimePassed{}, {});
}

// Of a fleet that is too large for a line about each.
void Coordinator::SayProgress() {
  if (!IsLarge() || Clock::now() < next_line_ || !state().round) return;
  if (state().round->stage != fleet::Round::Stage::kRunning) return;
  next_line_ = Clock::now() + kBetweenLines;
  Say(ProgressLineOf(*state().round));
}

void Coordinator::Act(const fleet::Effect& effect) {
  if (const auto* plan = std::get_if<fleet::MakePlan>(&effect)) StartPlanning(*plan);
  if (const auto* ended = std::get_if<fleet::RoundEnded>(&effect)) {
    all_changed_ = true;
    EndRound(*ended->round);
  }
}

fs::path Coordinator::FolderOf(std::uint32_t round) const {
  return fs::path(config_.coordinator_kit.out_folder) / "rounds" / fmt::format("{:04}", round);
}

// The round's first plan has its folder; later ones are of those who had not ended by then.
fs::path Coordinator::FolderOf(const fleet::MakePlan& wanted) const {
  const fs::path round = FolderOf(wanted.round);
  std::error_code failed;
  if (wanted.plan == 1 || !fs::exists(round / "plan.json", failed)) return round;
  return round / fmt::format("replan-{}", wanted.plan - 1);
}

// What a plan departs from: the round's latest, or the round's before it, which has everybody.
fs::path Coordinator::StandingPlan(const fleet::MakePlan& wanted) const {
  std::error_code failed;
  std::vector<fs::path> candidates;
  for (std::uint32_t plan = wanted.plan - 1; plan > 0; --plan) {
    candidates.push_back(FolderOf(wanted.round) / fmt::format("replan-{}", plan - 1));
  }
  candidates.push_back(FolderOf(wanted.round));
  for (std::uint32_t round = wanted.round; round > 1; --round) {
    candidates.push_back(FolderOf(round - 1));
    if (candidates.size() > kLookBack) break;  // At rounds that had no plan.
  }
  for (const fs::path& folder : candidates) {
    if (folder != FolderOf(wanted) && fs::exists(folder / "plan.json", failed)) {
      return folder / "plan.json";
    }
  }
  return {};
}

// The round's own, and the latest's place.
Expected<void> Coordinator::WriteBoth(const fs::path& folder,
                                      const char* name,
                                      const std::string& text) const {
  if (auto done = WriteFileAtomically(folder / name, text); !done) return done;
  return WriteFileAtomically(fs::path(config_.coordinator_kit.out_folder) / name, text);
}

// Planning takes its time: on a thread of its own, so that leases, reports and signals do not wait.
void Coordinator::StartPlanning(const fleet::MakePlan& wanted) {
  PlanScope scope = ScopeOf(state(), deployment_.scenario());
  PlanRequest& request = scope.request;
  unreachable_ = std::move(scope.unreachable);
  without_slot_ = std::move(scope.without_slot);
  if (request.scenario.users.empty()) return TakePlan(wanted, request.scenario, PlannedRound{});
  const std::string text = WriteScenario(request.scenario);
  request.scenario_sha256 = Sha256Hex(text);
  request.folder = plan_folder_ = FolderOf(wanted);
  request.standing = StandingPlan(wanted);
  const fs::path round_folder = FolderOf(wanted.round);
  const auto written = request.folder == round_folder
                           ? WriteBoth(round_folder, "scenario.json", text)
                           : WriteFileAtomically(request.folder / "scenario.json", text);
  if (!written) {
    broken_ = written.error();
    return;
  }
  Say(fmt::format("round {}: planning {} on {} with {}",
                  wanted.round,
                  Counted(request.scenario.users.size(), "user"),
                  Counted(request.scenario.servers.size(), "server"),
                  config_.coordinator_kit.method));
  scenario_sha256_ = request.scenario_sha256;
  Failpoint(config_.node, "planning");
  if (planning_.joinable()) planning_.join();
  planning_ = std::thread([this, wanted, request = std::move(request)] {
    const Stopwatch watch;
    const std::clock_t begun = std::clock();
    auto planned = planner_(request);
    if (planned) {
      planned->elapsed_s = watch.MeasuredS();
      planned->cpu_s = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    }
    Post([this, wanted, scenario = request.scenario, planned = std::move(planned)] {
      TakePlan(wanted, scenario, planned);
    });
  });
}

void Coordinator::TakePlan(const fleet::MakePlan& wanted,
                           const Scenario& scenario,
                           const Expected<PlannedRound>& planned) {
  if (!planned && planned.error().kind == ErrorKind::kIo) {
    broken_ = planned.error();  // Of its disk, not of the plan, which it owes when it starts again.
    return;
  }
  if (!planned) {
    Queue(fleet::PlanFailed{wanted.round, wanted.plan, planned.error().Text()}, {});
    return;
  }
  fleet::PlanMade made{wanted.round, wanted.plan, {}};
  for (std::size_t n = 0; n < planned->plan.size(); ++n) {
    const Decision& decision = planned->plan[n];
    made.assignments.push_back({scenario.users[n].id,
                                scenario.servers.at(static_cast<std::size_t>(decision.server)).id,
                                decision,
                                planned->predicted_s[n],
                                ""});
  }
  for (const std::string& id : unreachable_) {
    made.assignments.push_back({id, "", {}, {}, "no server within its reach is here"});
  }
  for (const std::string& id : without_slot_) {
    made.assignments.push_back({id, "", {}, {}, "", true});
  }
  if (const auto text = ReadFile(plan_folder_ / "plan.json");
      text && plan_folder_ == FolderOf(wanted.round)) {
    [[maybe_unused]] const auto copied =
        WriteFileAtomically(fs::path(config_.coordinator_kit.out_folder) / "plan.json", *text);
  }
  if (!planned->standing_refused.empty()) {
    Say(fmt::format("planned afresh: {}", planned->standing_refused));
  }
  Json fields = {{"method", config_.coordinator_kit.method},
                 {"scenario_sha256", scenario_sha256_},
                 {"elapsed_s", planned->elapsed_s},
                 {"cpu_s", planned->cpu_s}};
  const auto handovers = CountHandovers(made);
  if (handovers) fields["handovers"] = *handovers;
  if (!without_slot_.empty()) fields["without_slot"] = without_slot_.size();
  Note("planned", std::move(fields));
  Failpoint(config_.node, "planned");
  std::string line = fmt::format("{} {} a plan",
                                 Counted(scenario.users.size(), "user"),
                                 scenario.users.size() == 1 ? "has" : "have");
  if (handovers) line += fmt::format(", {} with another server than before", *handovers);
  if (!without_slot_.empty()) {
    line += fmt::format(", {} wait until one of them has ended, for servers have no more slots",
                        without_slot_.size());
  }
  Queue(std::move(made), [this, line](const fleet::StepResult& result) {
    if (result.verdict != fleet::Verdict::kAccepted) return;
    Say(line);
    const auto emulated = EmulationOf(*state().round, deployment_.scenario(), emulation_);
    if (emulated) Say(EmulationLine(*emulated));
  });
}

// Of the users with a plan, how many had another server in their last attempt; none: nobody had
// one.
std::optional<int> Coordinator::CountHandovers(const fleet::PlanMade& plan) const {
  std::optional<int> count;
  for (const fleet::Assignment& assignment : plan.assignments) {
    if (assignment.server.empty()) continue;
    for (const auto* round : {&state().round, &state().last}) {
      if (!*round) continue;
      const auto task = (*round)->tasks.find(assignment.user);
      if (task == (*round)->tasks.end() || task->second.server.empty()) continue;
      count = count.value_or(0) + (task->second.server == assignment.server ? 0 : 1);
      break;
    }
  }
  return count;
}

// What is on record stays as it was recorded: a coordinator that starts again owes the record
// alone.
bool Coordinator::TakeRecord(const fleet::Round& round) {
  const fs::path path = FolderOf(round.number) / "round.json";
  const auto text = ReadFile(path);
  auto record = text ? ParseRound(path.string(), *text) : tl::unexpected(text.error());
  if (!record) return false;
  const auto latest = fs::path(config_.coordinator_kit.out_folder) / "round.json";
  if (auto written = WriteFileAtomically(latest, *text); !written) broken_ = written.error();
  end_.record = std::move(*record);
  end_.rounds = round.number;
  return true;
}

void Coordinator::EndRound(const fleet::Round& round) {
  if (TakeRecord(round)) return;
  Failpoint(config_.node, "round_ended");
  for (const auto& [id, task] : round.tasks) {
    Note("user_ended", {{"round", round.number}, {"user", id}, {"failure", task.failure}});
    if (task.state == fleet::Task::State::kFailed) {
      Say(fmt::format("user {} FAILED: {}", id, task.failure));
    }
  }
  RoundRecord record = RecordOf(round, state(), deployment_.scenario(), emulation_);
  if (const auto text = ReadFile(FolderOf(round.number) / "scenario.json")) {
    record.scenario_sha256 = Sha256Hex(*text);
  }
  record.model = config_.model_folder;
  record.seed = config_.training.seed;
  record.number = round.number;
  Say(fmt::format("round {} has ended: {}",
                  round.number,
                  record.Done() ? "every user is done" : "not every user is done"));
  Note("round_ended", {{"round", round.number}, {"success", record.Done()}});
  if (auto written = WriteBoth(FolderOf(round.number), "round.json", WriteRound(record));
      !written) {
    broken_ = written.error();
  }
  Failpoint(config_.node, "recorded");
  end_.record = std::move(record);
  end_.rounds = round.number;
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
                                  const ProgressLine& progress) {
  auto loaded = ReadScenario(config.coordinator_kit.scenario_path);
  if (!loaded) return tl::unexpected(loaded.error());
  if (config.coordinator_kit.handover_penalty > 0.0 &&
      loaded->scenario.objective.delay != DelayMode::kSum) {
    return Fail(ErrorKind::kBadInput,
                config.coordinator_kit.scenario_path,
                "must have the sum of delays, for the coordinator's handover_penalty is above 0");
  }
  auto sound = CheckQuorum(config.coordinator_kit, loaded->scenario);
  if (sound) sound = CheckLogIsThere(config.coordinator_kit);
  if (!sound) return tl::unexpected(sound.error());
  auto telemetry = Telemetry::Open(config.telemetry_path, config.node, config.telemetry_limits);
  if (!telemetry) return tl::unexpected(telemetry.error());
  Coordinator coordinator(
      config, planner, progress, std::move(*telemetry), std::move(loaded->scenario));
  return coordinator.Run();
}

}  // namespace dashf::runtime
