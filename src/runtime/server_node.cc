#include "runtime/server_node.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "fleet/server_agent.h"
#include "runtime/address.h"
#include "runtime/descriptors.h"
#include "runtime/edge_service.h"
#include "runtime/failpoint.h"
#include "runtime/learning.h"
#include "runtime/messages.h"
#include "runtime/node_loop.h"
#include "runtime/node_places.h"
#include "runtime/process.h"
#include "runtime/server_training.h"
#include "runtime/service_state.h"
#include "runtime/session.h"
#include "runtime/settings_call.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"
#include "runtime/work.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::milliseconds kTick(50);
constexpr std::chrono::seconds kStopWithin(9);

fleet::ServerOrders OrdersIn(const v1::ServerWork& wire) {
  fleet::ServerOrders orders;
  for (const v1::Assignment& assignment : wire.assignments()) {
    orders.work.push_back({.user = assignment.user(),
                           .round = assignment.round(),
                           .attempt = static_cast<int>(assignment.attempt()),
                           .decision = DecisionIn(assignment),
                           .uploaded = assignment.phase() > v1::PHASE_UPLOAD});
  }
  return orders;
}

// One thread decides (fleet::ServerAgent), one trains, one reports; uploads and downloads have
// gRPC's.
class ServerProcess {
 public:
  ServerProcess(const NodeConfig& config,
                const LiveCredentials& credentials,
                const Telemetry& telemetry,
                const ServiceState& service_state,
                BaseModel base,
                const std::string& model_sha256,
                UserStore* store,
                const Log& log)
      : config_(config),
        credentials_(credentials),
        telemetry_(telemetry),
        service_state_(service_state),
        base_(std::move(base)),
        store_(*store),
        service_(config.node, store),
        log_(log),
        training_(config,
                  base_,
                  model_sha256,
                  telemetry_,
                  store,
                  {.on_taken = std::bind_front(&ServerProcess::OnTaken, this),
                   .on_ended = std::bind_front(&ServerProcess::OnTrained, this)}) {}
  ~ServerProcess();

  // The exit code; none if the fleet's settings are not those of `work` any more.
  Expected<std::optional<int>> Run(const v1::Work& work);

 private:
  Expected<std::vector<std::string>> Listen();  // What users are told.
  v1::Hello Hello(const v1::Work& work, const std::vector<std::string>& addresses) const;
  void Heed(const v1::Orders& orders);
  void Heed(fleet::ServerOrders orders);
  void Do(const std::vector<fleet::ServerEffect>& effects);
  void Keep(const std::string& user);
  Attempt AttemptOf(const std::string& user) const;
  void SendReports();  // Until stopped.
  // On the training's thread.
  void OnTaken(const Attempt& attempt);
  void OnTrained(const Attempt& attempt, const Expected<Trained>& trained);

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  const Telemetry& telemetry_;
  const ServiceState& service_state_;
  const BaseModel base_;
  UserStore& store_;
  EdgeService service_;
  const Log& log_;
  NodeLoop loop_;
  StopSignals signals_;
  fleet::ServerAgent agent_{{}};
  std::map<std::string, Attempt> known_;  // What the store was told to expect.
  std::optional<v1::Leave> leave_;
  std::optional<Error> failed_;
  bool registered_ = false, outdated_ = false;
  std::mutex mutex_;
  std::condition_variable reports_changed_;
  std::deque<fleet::PhaseFinished> reports_;  // Guarded by mutex_, as stop_.
  bool stop_ = false;
  std::optional<Session> session_;
  ServerTraining training_;
  std::thread trainer_, reporter_;
  std::unique_ptr<grpc::Server> server_;
};

ServerProcess::~ServerProcess() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    reports_changed_.notify_all();
  }
  store_.Close();  // Ends what is being trained; the spool keeps it for the next life.
  if (trainer_.joinable()) trainer_.join();
  if (session_) session_->Stop();
  if (reporter_.joinable()) reporter_.join();
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  server_->Wait();
}

Expected<std::vector<std::string>> ServerProcess::Listen() {
  const std::string& listen = config_.server.listen;
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, listen, credentials_, &port);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) return tl::unexpected(CannotListen(listen));
  return Advertised(listen, port, config_.server.advertise);
}

v1::Hello ServerProcess::Hello(const v1::Work& work,
                               const std::vector<std::string>& addresses) const {
  v1::Hello hello;
  *hello.mutable_work() = work;
  v1::ServerCapabilities& server = *hello.mutable_server();
  const Server& device = config_.server.device;
  *server.mutable_compute() = ToWire(device.compute);
  server.set_bandwidth_hz(device.bandwidth_hz);
  server.set_tx_power_w_max(device.tx_power_w_max);
  for (const std::string& address : addresses) server.add_address(address);
  return hello;
}

Expected<std::optional<int>> ServerProcess::Run(const v1::Work& work) {
  const auto addresses = Listen();
  if (!addresses) return tl::unexpected(addresses.error());
  session_.emplace(
      config_,
      credentials_,
      Hello(work, *addresses),
      Session::Listener{
          .on_orders = [this](const auto& orders) { loop_.Post([=, this] { Heed(orders); }); },
          .log = log_,
          .on_refused = [this](const auto& error) { loop_.Post([=, this] { failed_ = error; }); },
          .on_outdated =
              [this](const auto& how) {
                log_.Info("settings", "the training settings have changed: " + how);
                loop_.Post([this] { outdated_ = true; });
              }});
  trainer_ = std::thread([this] { training_.Run(); });
  reporter_ = std::thread([this] { SendReports(); });
  while (!failed_ && !leave_ && !outdated_) {
    loop_.DoPosted(kTick);
    if (const auto left = CheckDescriptorsLeft(); !left) failed_ = left.error();
    if (const auto signal = signals_.Wait(0)) {
      ExitWithin(kStopWithin, 128 + *signal);  // If a step takes longer.
      return 128 + *signal;
    }
  }
  if (failed_) return tl::unexpected(*failed_);
  if (outdated_) return std::nullopt;
  return EndOfFleet(config_.node, *leave_, log_);
}

void ServerProcess::Heed(const v1::Orders& orders) {
  if (!std::exchange(registered_, true)) {
    telemetry_.Write("registered", {{"incarnation", session_->incarnation()}});
    service_state_.Ready("registered");
    Failpoint(config_.node, "registered");
  }
  if (orders.has_leave()) {
    leave_ = orders.leave();
  } else {
    for (const v1::Assignment& work : orders.serve().assignments()) {
      const Attempt attempt{work.user(), work.round(), work.attempt()};
      const Pace pace = FromWire(work.pace());
      service_.SetPace(attempt, pace.download_bit_per_s);
      training_.SetShare(attempt, work.server_clock_hz(), pace.server_s);
    }
    Heed(OrdersIn(orders.serve()));
  }
}

// What is in the store already may have come in an earlier life of this process, or wait its turn.
void ServerProcess::Heed(fleet::ServerOrders orders) {
  std::vector<Attempt> committed;
  for (auto& work : orders.work) {
    const Attempt attempt{work.user, work.round, static_cast<std::uint32_t>(work.attempt)};
    if (!store_.Committed(attempt)) continue;
    committed.push_back(attempt);
    work.uploaded = false;
  }
  Do(agent_.OnOrders(orders));
  for (const Attempt& attempt : committed) Do(agent_.OnUploaded(attempt.user));
  for (const FinishedJob& job : store_.Finished()) {
    fleet::Outcome outcome;
    outcome.measured = MeasuredOf(job.spent);
    Do(agent_.OnOutcome(
        job.attempt.user, job.attempt.round, static_cast<int>(job.attempt.number), outcome));
  }
}

void ServerProcess::Do(const std::vector<fleet::ServerEffect>& effects) {
  for (const fleet::ServerEffect& effect : effects) {
    if (const auto* save = std::get_if<fleet::SaveEntry>(&effect)) {
      Keep(save->user);
    } else if (const auto* report = std::get_if<fleet::ReportTraining>(&effect)) {
      const std::lock_guard lock(mutex_);
      reports_.push_back(agent_.ReportOf(report->user));
      reports_changed_.notify_all();
    }
  }
}

// What the store is to expect of this user: what the agent has, which may be a later attempt than
// the one it was told, for a coordinator that starts again says what stands.
void ServerProcess::Keep(const std::string& user) {
  const auto entry = agent_.spool().find(user);
  const bool expected = entry != agent_.spool().end();
  if (const auto known = known_.find(user);
      known != known_.end() && !(expected && known->second == AttemptOf(user))) {
    store_.Drop(known->second);
    known_.erase(known);
    Failpoint(config_.node, "forgotten");
  }
  if (!expected || known_.contains(user)) return;
  known_[user] = AttemptOf(user);
  const auto kept = store_.Expect(known_[user],
                                  entry->second.decision.local_layers,
                                  base_.model.config().layers,
                                  entry->second.decision.server_clock_hz);
  if (!kept) failed_ = kept.error();  // Its disk does not serve.
  Failpoint(config_.node, "expected");
}

Attempt ServerProcess::AttemptOf(const std::string& user) const {
  const fleet::SpoolEntry& entry = agent_.spool().at(user);
  return {user, entry.round, static_cast<std::uint32_t>(entry.attempt)};
}

void ServerProcess::OnTaken(const Attempt& attempt) {
  log_.Info("training",
            fmt::format("round {}: training user {}", attempt.round, attempt.user),
            {{"round", attempt.round}, {"user", attempt.user}});
  loop_.Post([this, user = attempt.user] { Do(agent_.OnUploaded(user)); });
}

void ServerProcess::OnTrained(const Attempt& attempt, const Expected<Trained>& trained) {
  if (!trained && trained.error().kind == ErrorKind::kIo) {
    // Its disk's trouble: what the spool has is what it goes on from.
    return loop_.Post([this, error = trained.error()] { failed_ = error; });
  }
  fleet::Outcome outcome;
  if (trained) {
    outcome.measured = MeasuredOf(trained->spent);
  } else {
    outcome.failure = trained.error().Text();
  }
  loop_.Post([this, attempt, outcome] {
    Do(agent_.OnOutcome(attempt.user, attempt.round, static_cast<int>(attempt.number), outcome));
  });
}

void ServerProcess::SendReports() {
  for (;;) {
    std::unique_lock lock(mutex_);
    reports_changed_.wait(lock, [this] { return stop_ || !reports_.empty(); });
    if (stop_) return;
    const fleet::PhaseFinished report = std::move(reports_.front());
    reports_.pop_front();
    lock.unlock();
    const auto answer = session_->Report(report);
    if (!answer) {
      telemetry_.Write("report_refused",
                       {{"user", report.user}, {"reason", answer.error().Text()}});
    } else if (*answer) {
      Failpoint(config_.node, "reported");
      loop_.Post([this, report, verdict = **answer] {
        Do(agent_.OnReported(report.user, report.round, report.attempt, verdict));
      });
    }
  }
}

// As long as the settings in `config` are the fleet's; then none.
Expected<std::optional<int>> ServeAsTold(const NodeConfig& config,
                                         const LiveCredentials& credentials,
                                         const Telemetry& telemetry,
                                         const ServiceState& service_state,
                                         const ServerVoice& voice) {
  std::optional<EndedBySignals> starting(std::in_place);
  const auto storage = BaseStorage(config.training.storage);
  if (!storage) return tl::unexpected(storage.error());
  voice.on_storage(*storage);
  auto base = LoadBaseModel(config.model_folder, config.training.storage, config.Threads());
  if (!base) return tl::unexpected(base.error());
  const auto work = WorkOf(config);
  if (!work) return tl::unexpected(work.error());
  const auto store =
      UserStore::Open(config.server.spool_folder, config.server.spool_bytes_max, config.fleet);
  if (!store) return tl::unexpected(store.error());
  for (const std::string& damaged : (*store)->damaged()) voice.log.Warning("spool", damaged);
  ServerProcess node(config,
                     credentials,
                     telemetry,
                     service_state,
                     std::move(*base),
                     work->model_sha256(),
                     store->get(),
                     voice.log);
  starting.reset();
  return node.Run(*work);
}

}  // namespace

Expected<int> RunServer(const NodeConfig& config, const ServerVoice& voice) {
  RaiseDescriptorLimit();
  std::optional<EndedBySignals> starting(std::in_place);
  if (auto plain = CheckPlainFiles(config.model_folder); !plain) {
    return tl::unexpected(plain.error());
  }
  const auto credentials = LiveCredentials::Load(config.tls, config.node, NoticeTo(voice.log));
  if (!credentials) return tl::unexpected(credentials.error());
  const auto telemetry =
      Telemetry::Open(config.telemetry_path, config.node, config.telemetry_limits, voice.log);
  if (!telemetry) return tl::unexpected(telemetry.error());
  ServiceState service_state;
  const ServicePulse pulse(&service_state);
  starting.reset();
  return LiveAsTold(config, *credentials, voice.log, [&](const NodeConfig& as_told) {
    return ServeAsTold(as_told, *credentials, *telemetry, service_state, voice);
  });
}

}  // namespace dashf::runtime
