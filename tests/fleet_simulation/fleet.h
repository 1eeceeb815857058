// The simulation's processes. Each has a life that a crash ends and a disk that outlives it.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "fleet/keeper.h"
#include "fleet/server_agent.h"
#include "fleet/user_agent.h"
#include "simulation.h"
#include "world.h"

namespace dashf::fleet {

inline constexpr int kLayers = 3;

struct Plan {  // What the seed decides.
  Policy policy;
  int users = 0, servers = 0;
  bool transient = false;  // Faults of this seed never take longer than the policy waits.
  bool faults = true;
};

// What training makes of its input; different inputs, different outcomes.
std::uint64_t Trained(std::string_view how, std::uint64_t from, int k);

// A log on a simulated disk: what was appended stays, also over crashes.
class SimulatedLog final : public EventLog {
 public:
  explicit SimulatedLog(World* world) : world_(*world) {}
  Expected<void> Append(std::span<const LoggedEvent> events) override;
  Expected<void> Snapshot(const State& state) override;
  bool SnapshotIsDue() const override { return true; }

  State Fold(bool from_snapshot) const;
  Millis last_at() const { return events_.empty() ? 0 : events_.back().at; }
  std::size_t size() const { return events_.size(); }
  bool refusing = false;

 private:
  World& world_;
  std::vector<LoggedEvent> events_;
  State snapshot_;
  std::size_t snapshot_at_ = 0;
};

class Fleet;

class CoordinatorProcess {
 public:
  CoordinatorProcess(Fleet* fleet, World* world) : fleet_(*fleet), log_(world) {}

  void Start();
  void Crash();
  bool up() const { return keeper_ != nullptr; }
  const State* state() const { return keeper_ ? &keeper_->state() : nullptr; }
  SimulatedLog& log() { return log_; }

  // Has it accepted a report of this phase, or of a later one?
  bool Knows(const std::string& user, std::uint32_t round, int attempt, Phase phase) const;

  void Order(const Event& event);  // By an operator; lost while the process is down.

  // Messages.
  void Hear(const NodeId& from, std::uint64_t incarnation, std::int64_t seen);
  void HearReport(const PhaseFinished& report);

 private:
  using Outcome = std::optional<Verdict>;  // Nothing: the process has died of it.
  Outcome Take(Event event);
  void Act(const std::vector<Effect>& effects);
  void MakeIt(const MakePlan& plan);
  void SendOrders(const NodeId& to);
  void SendChangedOrders();
  void Tick(int life);
  std::string OrdersText(const NodeId& node) const;

  Fleet& fleet_;
  SimulatedLog log_;
  std::unique_ptr<Keeper> keeper_;
  int life_ = 0;
  struct Session {
    std::uint64_t incarnation = 0;
    Millis lease_until = 0;
    std::string orders;
    std::int64_t version = 0;
  };
  std::map<NodeId, Session> sessions_;
  std::int64_t version_ = 0;
};

class UserProcess {
 public:
  UserProcess(Fleet* fleet, NodeId node) : fleet_(*fleet), node_(std::move(node)) {}

  void Start();
  void Crash();
  void LoseDisk();
  bool up() const { return agent_ != nullptr; }
  bool left() const { return left_; }

  void HearOrders(const UserOrders& orders, std::int64_t version);
  void HearVerdict(const PhaseFinished& report, Verdict verdict);
  void HearCommitted(std::uint32_t round, int attempt, bool same);
  void HearResult(std::uint32_t round, int attempt, std::uint64_t content);

 private:
  struct Disk {
    UserMemory memory;
    std::uint64_t adapter = 1;  // The last finished one.
    std::uint64_t base = 1;     // That which this round began from.
    std::uint64_t local = 0, returned = 0;
    std::map<std::uint32_t, std::uint64_t> finished;
  };
  void Do(const std::vector<UserEffect>& effects);
  void Carry(Phase phase);
  void End(Phase phase, std::uint32_t round, int attempt);
  void Ask(Phase phase, int life, std::uint32_t round, int attempt);
  void Beat(int life);
  void SendReport(int life);
  void LeaveIfDone();
  bool Doing(Phase phase, std::uint32_t round, int attempt) const;

  Fleet& fleet_;
  const NodeId node_;
  Disk disk_, dirty_;  // Saved, and as the process has it.
  std::unique_ptr<UserAgent> agent_;
  std::uint64_t incarnation_ = 0;
  int life_ = 0;
  std::int64_t seen_ = 0;
  std::optional<Phase> doing_;
  bool disk_lost_ = false;  // Ever.
  bool leaving_ = false, left_ = false;
};

class ServerProcess {
 public:
  ServerProcess(Fleet* fleet, NodeId node) : fleet_(*fleet), node_(std::move(node)) {}

  void Start();
  void Crash();
  void LoseDisk();
  bool up() const { return agent_ != nullptr; }
  bool left() const { return left_; }

  void HearOrders(const ServerOrders& orders, std::int64_t version);
  void HearVerdict(const PhaseFinished& report, Verdict verdict);
  void HearUpload(const std::string& user, std::uint32_t round, int attempt, std::uint64_t content);
  void HearDownload(const std::string& user, std::uint32_t round, int attempt);

 private:
  struct Artefacts {
    std::uint64_t upload = 0, result = 0;
  };
  void Do(const std::vector<ServerEffect>& effects);
  void Beat(int life);
  void SendReport(const std::string& user, std::uint32_t round, int attempt, int life);

  Fleet& fleet_;
  const NodeId node_;
  std::map<std::string, SpoolEntry> disk_;
  std::map<std::string, Artefacts> artefacts_;  // On disk, each written before its entry.
  std::unique_ptr<ServerAgent> agent_;
  std::uint64_t incarnation_ = 0;
  int life_ = 0;
  std::int64_t seen_ = 0;
  std::map<std::string, int> trained_;  // Completed trainings of an attempt while the disk lived.
  bool left_ = false;
};

class Fleet {
 public:
  Fleet(World* world, Plan plan, Mistake mistake);

  void Run();
  World& world() { return world_; }
  const Plan& plan() const { return plan_; }
  bool Has(Mistake mistake) const { return mistake_ == mistake; }

  CoordinatorProcess coordinator;
  std::map<std::string, UserProcess> users;
  std::map<std::string, ServerProcess> servers;
  std::int64_t faults = 0;
  int done = 0, failed = 0;

  // Checks a round that has ended.
  void Judge(const Round& round);
  // Checks that new work is of those who take part, and that what operators were told holds.
  void CheckParts(const State& state);
  void Told(const Event& order);  // An operator, that it is so.

 private:
  void ScheduleFaults();
  void AskForRounds();
  void Operate(Millis lasts, const NodeId& node);
  void FaultAt(Millis delay, Millis lasts);
  void CheckReplay();
  bool AllLeft() const;

  World& world_;
  const Plan plan_;
  const Mistake mistake_;
  std::map<std::uint32_t, std::string> judged_;
  std::map<std::pair<std::uint32_t, std::string>, int> attempts_;  // Seen, by round and user.
  std::map<NodeId, bool> excluded_, drained_;                      // As operators were told.
};

}  // namespace dashf::fleet
