#include "runtime/settings_call.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "dashf.grpc.pb.h"
#include "runtime/back_off.h"
#include "runtime/messages.h"
#include "runtime/process.h"
#include "runtime/session.h"
#include "runtime/tls.h"
#include "runtime/work.h"

namespace dashf::runtime {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kCallDeadline(
    90);  // It begins with a connection of its own: four round trips.
constexpr std::chrono::seconds kStopWithin(9);
constexpr int kTickMs = 50;
constexpr int kHandshakeTimeoutS = 15;
constexpr int kIdentityTries = 3;  // As of a session.

struct SettingsAnswer {  // One of the three.
  std::optional<TrainingSettings> training;
  std::string fleet = {};          // Beside them.
  std::optional<v1::Leave> leave;  // The fleet is over.
  std::optional<int> signal;       // It came before an answer.
};

// The asking thread's.
class Asking {
 public:
  Asking(const NodeConfig& config, const LiveCredentials& credentials, const Log& log)
      : config_(config), credentials_(credentials), log_(log) {
    thread_ = std::thread([this] {
      answer_ = Ask();
      done_ = true;
    });
  }
  ~Asking() {
    Stop();
    if (thread_.joinable()) thread_.join();
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  bool done() const { return done_; }
  Expected<SettingsAnswer> Take() {
    thread_.join();
    return std::move(answer_);
  }

 private:
  void Stop() {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
    if (call_ != nullptr) call_->TryCancel();
  }
  bool WaitFor(milliseconds pause) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, pause, [this] { return stop_; });
  }
  void SayOnce(const std::string& line) {
    if (line == said_) return;
    said_ = line;
    log_.Info("settings", line);
  }

  // Nothing once it is stopped.
  Expected<SettingsAnswer> Ask() {
    BackOff pause;
    int refused = 0;  // In a row.
    do {
      const auto address = FirstThatAnswers(
          CoordinatorNode(), config_.coordinator, credentials_, kHandshakeTimeoutS);
      refused = !address && address.error().kind != ErrorKind::kIo ? refused + 1 : 0;
      if (refused == kIdentityTries) return tl::unexpected(address.error());
      if (!address) {
        SayOnce(fmt::format("the coordinator is not there yet ({})", address.error().Text()));
        continue;
      }
      v1::SettingsReply reply;
      const grpc::Status status = Call(*address, &reply);
      if (status.ok()) return Understand(reply);
      if (const auto why = RefusalIn(status)) return tl::unexpected(*why);
      SayOnce(fmt::format("the coordinator does not answer yet ({})", status.error_message()));
    } while (WaitFor(pause.Next()));
    return SettingsAnswer{};
  }

  grpc::Status Call(const std::string& address, v1::SettingsReply* reply) {
    const auto stub = v1::Coordinator::NewStub(ConnectTo(CoordinatorNode(), address, credentials_));
    v1::SettingsRequest request;
    *request.mutable_node() = ToWire(config_.node);
    request.set_protocol(kProtocol);
    request.set_build(DASHF_VERSION);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return grpc::Status::CANCELLED;
      call_ = &context;
    }
    const grpc::Status status = stub->Settings(&context, request, reply);
    const std::lock_guard lock(mutex_);
    call_ = nullptr;
    return status;
  }

  static Expected<SettingsAnswer> Understand(const v1::SettingsReply& reply) {
    SettingsAnswer answer;
    if (reply.has_leave()) {
      answer.leave = reply.leave();
      return answer;
    }
    auto training = ParseTrainingSettings("the coordinator's node file", reply.settings());
    if (!training) return tl::unexpected(training.error());
    answer.training = std::move(*training);
    answer.fleet = reply.fleet();
    return answer;
  }

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  const Log& log_;
  std::string said_;
  Expected<SettingsAnswer> answer_;  // Until done_, the thread's.
  std::atomic<bool> done_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;                    // Guarded by mutex_, as
  grpc::ClientContext* call_ = nullptr;  // the call that goes on.
  std::thread thread_;                   // Last: it uses the others.
};

void SayFleetEnded(const v1::Leave& leave, const Log& log) {
  log.Info("session",
           "the fleet has ended" + (leave.reason().empty() ? "" : ": " + leave.reason()),
           {{"reason", leave.reason()}});
}

Expected<SettingsAnswer> AskForSettings(const NodeConfig& config,
                                        const LiveCredentials& credentials,
                                        const Log& log) {
  StopSignals signals;
  Asking asking(config, credentials, log);
  while (!asking.done()) {
    if (const auto signal = signals.Wait(kTickMs)) {
      ExitWithin(kStopWithin, 128 + *signal);  // If a step of a handshake takes longer.
      return SettingsAnswer{.training = {}, .fleet = {}, .leave = {}, .signal = signal};
    }
  }
  return asking.Take();
}

}  // namespace

Expected<int> LiveAsTold(const NodeConfig& config,
                         const LiveCredentials& credentials,
                         const Log& log,
                         const Life& live) {
  for (;;) {
    auto told = AskForSettings(config, credentials, log);
    if (!told) return tl::unexpected(told.error());
    if (told->signal) return 128 + *told->signal;
    if (told->leave) {
      SayFleetEnded(*told->leave, log);
      return 0;
    }
    NodeConfig as_told = config;
    as_told.training = std::move(*told->training);
    as_told.fleet = told->fleet;
    const auto end = live(as_told);
    if (!end) return tl::unexpected(end.error());
    if (*end) return **end;
  }
}

Expected<int> EndOfFleet(const NodeId& node, const v1::Leave& leave, const Log& log) {
  if (!leave.success()) return Fail(ErrorKind::kRoundFailed, Name(node), leave.reason());
  SayFleetEnded(leave, log);
  return 0;
}

}  // namespace dashf::runtime
