// One life of a user's process under one kind of settings. Internal to user_node.cc, which begins
// it, and user_process.cc.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/termination.h"
#include "corpus/samples.h"
#include "fleet/user_agent.h"
#include "runtime/edge_link.h"
#include "runtime/emulation.h"
#include "runtime/energy_meter.h"
#include "runtime/learning.h"
#include "runtime/live_credentials.h"
#include "runtime/node_config.h"
#include "runtime/node_loop.h"
#include "runtime/process.h"
#include "runtime/service_state.h"
#include "runtime/session.h"
#include "runtime/telemetry.h"
#include "runtime/user_folder.h"

namespace dashf::runtime {

// One thread decides (fleet::UserAgent), one carries a phase out, one reports.
class UserProcess {
 public:
  UserProcess(const NodeConfig& config,
              const LiveCredentials& credentials,
              const Telemetry& telemetry,
              const ServiceState& service_state,
              BaseModel base,
              std::vector<corpus::Sample> train,
              train::HeldOut held_out,
              std::string held_out_sha256,
              UserFolder folder,
              fleet::UserMemory memory,
              const Log& log)
      : config_(config),
        credentials_(credentials),
        telemetry_(telemetry),
        service_state_(service_state),
        base_(std::move(base)),
        train_(std::move(train)),
        held_out_(std::move(held_out)),
        held_out_sha256_(std::move(held_out_sha256)),
        data_(corpus::WriteSamples(train_)),
        folder_(std::move(folder)),
        agent_(std::move(memory), base_.model.config().layers),
        log_(log) {}
  ~UserProcess();

  // The exit code; none if the fleet's settings are not those of `work` any more.
  Expected<std::optional<int>> Run(const v1::Work& work);

 private:
  using SystemTime = std::chrono::system_clock::time_point;

  v1::Hello Hello(const v1::Work& work) const;
  void Heed(const v1::Orders& orders);
  void Do(const std::vector<fleet::UserEffect>& effects);
  void Begin(fleet::Phase phase);
  void Cancel();
  void SendReport();
  void FollowServer(const fleet::UserOrders& orders);
  void LeaveIfDone();
  void Fail(const Error& error) { failed_ = failed_ ? failed_ : error; }

  // What the orders say beside what the agent remembers.
  struct Terms {
    std::vector<std::string> server_addresses;
    Pace pace;
  };

  // On the worker's thread.
  SystemTime CertificateEnd() const;
  bool OutlivedExpiry(SystemTime end) const;
  Expected<fleet::Outcome> Carry(fleet::Phase phase,
                                 const fleet::UserMemory& memory,
                                 const Terms& terms);
  Expected<fleet::Outcome> TrainLocally(const fleet::UserMemory& memory, double planned_s);
  void WaitUntil(std::chrono::steady_clock::time_point until);  // Or for its being cancelled.
  Expected<fleet::Outcome> Upload(const fleet::UserMemory& memory, EdgeLink* edge) const;
  Expected<fleet::Outcome> Download(const fleet::UserMemory& memory, EdgeLink* edge);
  Expected<fleet::Outcome> Verify(const fleet::UserMemory& memory);

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  const Telemetry& telemetry_;
  std::optional<EnergyMeter> meter_ = EnergyMeter::Find();
  const ServiceState& service_state_;
  const BaseModel base_;
  const std::vector<corpus::Sample> train_;
  const train::HeldOut held_out_;
  const std::string held_out_sha256_;  // What losses on it may be held against each other by.
  const std::string data_;             // As it is sent.
  std::string model_sha256_;           // Set before the worker begins.
  const UserFolder folder_;
  fleet::UserAgent agent_;
  const Log& log_;
  NodeLoop loop_;
  StopSignals signals_;
  Terms terms_;
  bool registered_ = false, reporting_ = false;
  std::uint64_t begun_ = 0;  // Phases; an outcome counts for the one begun last.
  std::optional<v1::Leave> leave_;
  Stopwatch left_;  // Since then.
  std::optional<Error> failed_;
  bool over_ = false, outdated_ = false;
  std::atomic<bool> cancelled_ = false;  // The worker's phase is not wanted any more.
  std::mutex mutex_;
  std::condition_variable ready_changed_;
  bool ready_ = false;  // Guarded by mutex_: the server has finished.
  std::thread worker_, reporter_;
  std::optional<Session> session_;
};

}  // namespace dashf::runtime
