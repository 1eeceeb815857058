// What an edge server makes of its users' uploads: trains all of them at the same time, an
// optimiser step of one after a step of another, in the proportion of their planned clock shares.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/termination.h"
#include "runtime/clock_shares.h"
#include "runtime/compute_gate.h"
#include "runtime/energy_meter.h"
#include "runtime/kept_phase.h"
#include "runtime/learning.h"
#include "runtime/node_config.h"
#include "runtime/spent.h"
#include "runtime/telemetry.h"
#include "runtime/user_store.h"
#include "train/phases.h"

namespace dashf::runtime {

struct Trained {
  train::PhaseReport report;  // Of all its phases; times are in `spent`.
  Spent spent;
};

class ServerTraining {
 public:
  struct Listener {  // Called from the training's thread.
    // The upload is in training now, or waits for memory.
    std::function<void(const Attempt&)> on_taken;
    // The user's phase has ended; what it trained is in the store by then. Once per user.
    std::function<void(const Attempt&, const Expected<Trained>&)> on_ended;
  };

  // All arguments must outlive it.
  ServerTraining(const NodeConfig& config,
                 const BaseModel& base,
                 std::string model_sha256,
                 const Telemetry& telemetry,
                 UserStore* store,
                 Listener listener);
  ~ServerTraining();

  // Trains what the store has and what comes, layers k+1..L and, with joint epochs, then all of
  // them, until the store is closed; then it keeps what it has come to. A user that comes is taken
  // up after the step that is being made. What is wrong with one user's upload, or one that is
  // dropped meanwhile, ends this user's phase alone.
  void Run();

  // The attempt's share of the server, by the newest plan: its clock, or, where shares are kept
  // strictly, what all of its training takes on the wall's clock (emulation.h) if that is not 0.
  // From any thread.
  void SetShare(const Attempt& attempt, double server_clock_hz, double planned_s);

 private:
  struct Learner;
  using OneLearner = std::unique_ptr<Learner>;

  Expected<OneLearner> Prepare(const TrainingJob& job) const;
  PhaseWork PhaseOf(const Learner& learner, bool jointly) const;
  double ForetoldBytes(const Learner& learner) const;
  Expected<void> BeginPhase(Learner* learner, bool jointly);
  void TakeUp(std::chrono::milliseconds patience);
  bool HasRoomFor(const Learner& learner) const;
  void Join(OneLearner learner);
  void HeedChanges();
  void Drop(Learner* learner);
  void Serve(const std::string& user);
  void FinishSettled();
  void Advance(Learner* learner);
  void Finish(Learner* learner);
  void End(Learner* learner, const Expected<Trained>& trained);  // Deletes it.
  // What a user may have of the server, and in which unit: its whole work, or processor seconds.
  struct Share {
    double per_s = 0.0;
    bool of_work = false;
    friend bool operator==(const Share&, const Share&) = default;
  };
  Share ShareOf(double server_clock_hz, double planned_s) const;
  // In the unit of its share.
  double Served(const Learner& learner) const;
  // Seconds of this server: those in which others had its machine's turn do not count, unless a
  // plan is held to the wall's clock.
  double NowS() const { return clock_.MeasuredS() - (by_wall_ ? 0.0 : gate_.waited_s()); }

  const NodeConfig& config_;
  const TrainingSettings& training_;
  const BaseModel& base_;
  const std::string model_sha256_;
  const Telemetry& telemetry_;
  std::optional<EnergyMeter> meter_ = EnergyMeter::Find();
  UserStore& store_;
  const Listener listener_;
  const double memory_bytes_max_;  // Without the base.
  const Stopwatch clock_;
  ComputeGate gate_;
  ClockShares shares_;
  std::map<std::string, OneLearner> learners_;  // By user.
  OneLearner waiting_;                          // For memory; those behind it are in the store.
  std::mutex mutex_;
  bool by_wall_ = false;                                    // A share is of a user's work.
  std::map<std::string, std::pair<Attempt, Share>> given_;  // By user; guarded by mutex_.
  bool given_changed_ = false;                              // Too.
};

}  // namespace dashf::runtime
