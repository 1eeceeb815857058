// The coordinator's process: what surrounds the fleet's state. Internal to coordinator.cc, which
// has its life, coordinator_rounds.cc, coordinator_sessions.cc, which has the nodes,
// coordinator_operators.cc and coordinator_watch.cc.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <thread>

#include "fleet/keeper.h"
#include "runtime/coordinator.h"
#include "runtime/coordinator_service.h"
#include "runtime/emulation.h"
#include "runtime/fleet_watch.h"
#include "runtime/learnt_factors.h"
#include "runtime/node_loop.h"
#include "runtime/operator_service.h"
#include "runtime/process.h"
#include "runtime/service_state.h"
#include "runtime/taking_part.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"
#include "runtime/wall_clock.h"

namespace dashf::runtime {

class Coordinator {
 public:
  Coordinator(const NodeConfig& config,
              const Planner& planner,
              const Log& log,
              Telemetry telemetry,
              Scenario deployment,
              const FleetWatch* watch)
      : config_(config),
        planner_(planner),
        log_(log),
        watch_(watch),
        telemetry_(std::move(telemetry)),
        recent_(telemetry_.KeepRecent()),
        deployment_(std::move(deployment)),
        settings_(WriteTrainingSettings(config.training)),
        service_(ForNodes()),
        operators_(ForOperators(),
                   std::filesystem::path(config.coordinator_kit.out_folder) / "rounds",
                   recent_) {}
  ~Coordinator();

  Expected<FleetEnd> Run();

 private:
  using Clock = std::chrono::steady_clock;

  // All but Post() is the thread's that runs Run().
  void Post(NodeLoop::Job job) { loop_.Post(std::move(job)); }

  // What nodes say.
  CoordinatorCalls ForNodes();
  void Settings(const NodeId& node,
                const v1::SettingsRequest& asked,
                const CoordinatorCalls::SettingsAnswer& answer);
  void Hello(SessionId id, const NodeId& node, const v1::Hello& hello);
  void Alive(SessionId id, const NodeId& node);
  void Closed(SessionId id, const NodeId& node, bool goodbye);
  void Report(SessionId id, const NodeId& node, const v1::PhaseReport& report);
  void Reply(SessionId id, const NodeId& node, v1::ReportReply reply);

  // What operators ask.
  OperatorCalls ForOperators();
  void Steer(const NodeId& by, const fleet::Event& event, const OperatorCalls::Answer& answer);
  NodeSign SignOf(const NodeId& node) const;

  // What is shown to whoever looks on.
  void BeginWatch();
  void ShowSome();
  void ShowWhole();
  WatchedNode WatchedOf(NodeRow row) const;

  // Queues an event; all that are queued are taken together, and `then` hears of the verdict.
  using Then = std::function<void(const fleet::StepResult&)>;
  void Queue(fleet::Event event, Then then);
  bool TakeQueued();  // False: the log has refused, and nothing may go on.
  void Act(const fleet::Effect& effect);
  void StartPlanning(const fleet::MakePlan& wanted);
  void TakePlan(const fleet::MakePlan& wanted,
                const Scenario& scenario,
                const Expected<PlannedRound>& planned);
  void EndRound(const fleet::Round& round);
  bool TakeRecord(const fleet::Round& round);
  bool IsRemoved(std::uint32_t round) const;
  void PutAside(std::uint32_t round);
  std::optional<int> CountHandovers(const fleet::PlanMade& plan) const;
  std::filesystem::path StandingPlan(const fleet::MakePlan& wanted) const;
  fleet::Millis FleetTime() const;

  struct Session {
    SessionId id = 0;  // 0: none is open.
    Clock::time_point lease_until;
    std::string orders;              // As they were sent last.
    v1::CoordinatorMessage replies;  // That are to leave with the next ones.
    NodeSign sign;
  };
  void Renew(Session& session) const;
  void SayTurnedAway(const NodeId& node, const std::string& reason);
  void Changed(const fleet::LoggedEvent& logged);
  void EndRevoked();
  void ForgiveSilence(Clock::duration stood_still);
  void RefuseRevoked(const NodeId& node, const std::string& reason);
  void CheckLeases();
  void Tick();
  void SayProgress();
  // Too large for a line about every node and phase.
  bool IsLarge() const { return deployment_.scenario().users.size() > 100; }
  void SendChanges(bool last);
  void Send(const NodeId& node, bool orders_may_differ, bool last);

  Expected<void> KnowOwnWork();
  Expected<void> Open();
  void GoOn();
  Expected<std::string> Listen(const LiveCredentials& credentials);
  Expected<void> WriteBoth(const std::filesystem::path& folder,
                           const char* name,
                           const std::string& text) const;
  std::filesystem::path FolderOf(std::uint32_t round) const;
  std::filesystem::path FolderOf(const fleet::MakePlan& wanted) const;
  const fleet::State& state() const { return keeper_->state(); }
  void Note(std::string_view event, nlohmann::ordered_json fields);
  bool Finished() const;
  // Of a fleet that is over: whether those who are to hear it have.
  bool MayLeave();
  std::vector<std::string> Untold() const;

  const NodeConfig& config_;
  const Planner& planner_;
  const Log& log_;
  const FleetWatch* const watch_;  // Null: nobody looks on.
  Telemetry telemetry_;
  const std::shared_ptr<RecentLines> recent_;
  Deployment deployment_;
  const Emulation emulation_{config_.coordinator_kit.time_scale,
                             config_.coordinator_kit.machine_flop_per_s,
                             config_.coordinator_kit.slowdown};
  NodeLoop loop_;

  std::unique_ptr<fleet::EventLog> event_log_;
  std::optional<fleet::Keeper> keeper_;
  fleet::Millis last_at_ = 0;
  fleet::Millis began_at_ = WallClock();
  const Clock::time_point began_ = Clock::now();
  Clock::duration stood_still_{};
  std::vector<fleet::LoggedEvent> events_;
  std::vector<Then> thens_;
  std::optional<Error> broken_;
  std::optional<v1::Work> work_;  // What everybody's must be, but for
  const std::string settings_;    // the training settings, which are the coordinator's own.
  std::map<NodeId, Session> sessions_;
  std::map<NodeId, std::string> turned_away_;  // Those who try, and why they may not.
  std::set<NodeId> told_;                      // That the fleet is over.
  std::set<NodeId> refused_;     // Since the list of revoked certificates changed last.
  std::set<NodeId> changed_;     // Whose orders may have,
  std::set<NodeId> forgetting_;  // and to whom that is not urgent.
  std::set<NodeId> replied_;     // To whom replies are to leave.
  bool all_changed_ = false;
  bool watch_begun_ = false;
  bool show_wanted_ = false;                // Something has changed since.
  std::shared_ptr<FleetSnapshot> showing_;  // That is being made,
  std::optional<NodeId> shown_next_;        // and who comes next in it.
  Clock::time_point leases_shown_;
  std::map<NodeId, std::size_t> place_;  // In the scenario.
  std::optional<Clock::time_point> finished_at_;
  Clock::time_point tick_, slow_tick_, next_line_;  // The next ones.
  std::string scenario_sha256_;
  // Of the plan that is being made: where it goes, and users that it leaves out.
  std::filesystem::path plan_folder_;
  std::vector<std::string> unreachable_, without_slot_;
  LearntFactors factors_;  // And what it assumes.
  std::thread planning_;
  FleetEnd end_;
  StopSignals signals_;
  ServiceState service_state_;
  std::unique_ptr<RevokedCertificates> revoked_;  // Set before the service is reached.
  CoordinatorService service_;
  OperatorService operators_;
  std::unique_ptr<grpc::Server> server_;  // Last: gone before what it calls.
};

}  // namespace dashf::runtime
