#include "loadtest/light_fleet.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>

#include "base/check.h"
#include "dashf.grpc.pb.h"
#include "fleet/state.h"
#include "runtime/live_credentials.h"
#include "runtime/messages.h"
#include "runtime/tls.h"
#include "runtime/training_settings.h"

namespace dashf::loadtest {
namespace {

using fleet::Phase;
using runtime::NodeId;
using runtime::Role;
using std::chrono::milliseconds;

constexpr std::size_t kConnectingMax = 256;  // Nodes whose handshake is on its way.
constexpr milliseconds kTick(100);
constexpr int kTicksPerBeat = 30;

v1::Work AnyWork() {
  v1::Work work;
  work.set_build("load test");
  work.set_settings(
      runtime::WriteTrainingSettings({}));  // The coordinator's, which has the default.
  return work;
}

void Count(std::vector<std::size_t>* by_round, std::uint32_t round) {
  if (by_round->size() < round) by_round->resize(round);
  ++(*by_round)[round - 1];
}

}  // namespace

struct LightFleet::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  Progress progress;
  std::function<void(const Progress&)> on_progress;
  std::map<std::string, Node*> servers, users;  // Set before the first node starts.
  std::size_t streams = 0;                      // That gRPC still has.
  std::atomic<bool> stopped = false;

  void Note(const std::function<void(Progress&)>& change) {
    const std::lock_guard lock(mutex);
    change(progress);
    on_progress(progress);
    changed.notify_all();
  }
  void Begin() {
    const std::lock_guard lock(mutex);
    ++streams;
  }
  void End() {
    const std::lock_guard lock(mutex);
    --streams;
    changed.notify_all();
  }
};

class LightFleet::Node {
 public:
  Node(const std::string& address,
       runtime::Credentials credentials,
       NodeId id,
       v1::Hello hello,
       Shared* shared)
      : id_(std::move(id)), hello_(std::move(hello)), shared_(*shared) {
    stub_ = v1::Coordinator::NewStub(
        runtime::ConnectTo(runtime::CoordinatorNode(), address, credentials));
    *hello_.mutable_node() = runtime::ToWire(id_);
    *hello_.mutable_work() = AnyWork();
    hello_.set_process("load test");
  }

  void Connect();
  void Beat();
  void Stop();
  bool connected() {
    const std::lock_guard lock(mutex_);
    return stream_ != nullptr;
  }

  void Hear(const v1::CoordinatorMessage& message);
  void Closed(const grpc::Status& status);
  void UploadCame(const std::string& user, std::uint32_t round, int attempt);
  void Served(std::uint32_t round, int attempt);

 private:
  void Work(const v1::Assignment& assignment);
  void Report(const std::string& user, std::uint32_t round, int attempt, Phase phase);
  void Reported(const v1::ReportReply& reply);
  void Go(Phase finished, const v1::PhaseReport& report);
  bool Current(std::uint32_t round, int attempt) {
    const std::lock_guard lock(mutex_);
    return work_.round() == round && static_cast<int>(work_.attempt()) == attempt;
  }

  const NodeId id_;
  v1::Hello hello_;
  Shared& shared_;
  std::unique_ptr<v1::Coordinator::Stub> stub_;
  std::mutex mutex_;
  Stream* stream_ = nullptr;
  bool registered_ = false;
  std::uint64_t incarnation_ = 1;
  v1::Assignment work_;                                  // A user's, as it was begun.
  std::map<std::uint64_t, v1::PhaseReport> unanswered_;  // By number.
  std::uint64_t reports_ = 0;
};

// One session; deletes itself when gRPC is done with it.
class LightFleet::Stream final
    : public grpc::ClientBidiReactor<v1::NodeMessage, v1::CoordinatorMessage> {
 public:
  Stream(Node* node, v1::Coordinator::Stub* stub) : node_(*node) {
    stub->async()->Session(&context_, this);
  }

  void Begin(v1::NodeMessage hello) {
    Write(std::move(hello));
    StartRead(&heard_);
    StartCall();
  }
  void Write(v1::NodeMessage message) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(message));
    if (!writing_) WriteNext();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    node_.Hear(heard_);
    StartRead(&heard_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok) WriteNext();
  }
  void OnDone(const grpc::Status& status) override {
    node_.Closed(status);
    delete this;
  }

 private:
  void WriteNext() {
    if (waiting_.empty()) return;
    sent_ = std::move(waiting_.front());
    waiting_.pop_front();
    writing_ = true;
    StartWrite(&sent_);
  }

  Node& node_;
  grpc::ClientContext context_;
  v1::CoordinatorMessage heard_;
  std::mutex mutex_;
  std::deque<v1::NodeMessage> waiting_;
  v1::NodeMessage sent_;
  bool writing_ = false;
};

void LightFleet::Node::Connect() {
  v1::NodeMessage message;
  *message.mutable_hello() = hello_;
  message.mutable_hello()->set_incarnation(incarnation_);
  shared_.Begin();
  const std::lock_guard lock(mutex_);
  stream_ = new Stream(this, stub_.get());
  stream_->Begin(std::move(message));
  for (const auto& [number, report] : unanswered_) {
    v1::NodeMessage again;
    *again.mutable_report() = report;
    stream_->Write(std::move(again));
  }
}

void LightFleet::Node::Beat() {
  v1::NodeMessage message;
  message.mutable_alive();
  const std::lock_guard lock(mutex_);
  if (stream_ != nullptr) stream_->Write(std::move(message));
}

void LightFleet::Node::Stop() {
  const std::lock_guard lock(mutex_);
  if (stream_ != nullptr) stream_->Cancel();
}

void LightFleet::Node::Closed(const grpc::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
  }
  const bool refused = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION ||
                       status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                       status.error_code() == grpc::StatusCode::NOT_FOUND;
  shared_.Note([&](Progress& progress) {
    if (shared_.stopped || status.ok()) return;
    ++progress.broken_sessions;
    if (refused) progress.refusal = Name(id_) + ": " + status.error_message();
  });
  shared_.End();
}

void LightFleet::Node::Hear(const v1::CoordinatorMessage& message) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = !std::exchange(registered_, true);
  }
  if (first) shared_.Note([](Progress& progress) { ++progress.registered; });
  for (const v1::ReportReply& reply : message.replies()) Reported(reply);
  if (message.orders().has_work()) Work(message.orders().work());
}

void LightFleet::Node::Work(const v1::Assignment& assignment) {
  {
    const std::lock_guard lock(mutex_);
    if (assignment.round() == work_.round() && assignment.attempt() == work_.attempt()) return;
    work_ = assignment;
  }
  if (assignment.attempt() == 1) {
    shared_.Note([&](Progress& progress) { Count(&progress.at_work, assignment.round()); });
  }
  const auto first = static_cast<Phase>(assignment.phase() - 1);
  Report(id_.id, assignment.round(), static_cast<int>(assignment.attempt()), first);
}

void LightFleet::Node::UploadCame(const std::string& user, std::uint32_t round, int attempt) {
  Report(user, round, attempt, Phase::kServer);
}

void LightFleet::Node::Served(std::uint32_t round, int attempt) {
  if (Current(round, attempt)) Report(id_.id, round, attempt, Phase::kDownload);
}

void LightFleet::Node::Report(const std::string& user,
                              std::uint32_t round,
                              int attempt,
                              Phase phase) {
  if (shared_.stopped) return;
  fleet::PhaseFinished finished;
  finished.round = round;
  finished.attempt = attempt;
  finished.user = user;
  finished.phase = phase;
  finished.measured.elapsed_s = 1.0;
  if (phase == Phase::kLocal || phase == Phase::kServer) finished.measured.cpu_s = 1.0;
  if (phase == Phase::kUpload || phase == Phase::kDownload) finished.measured.bytes = 1'000'000;
  if (phase == Phase::kVerify) {
    finished.before.loss = 2.0;
    finished.after.loss = 1.0;
  }
  v1::NodeMessage message;
  *message.mutable_report() = runtime::ToWire(incarnation_, finished);
  const std::lock_guard lock(mutex_);
  message.mutable_report()->set_number(++reports_);
  unanswered_[reports_] = message.report();
  if (stream_ != nullptr) stream_->Write(std::move(message));
}

void LightFleet::Node::Reported(const v1::ReportReply& reply) {
  v1::PhaseReport report;
  {
    const std::lock_guard lock(mutex_);
    const auto found = unanswered_.find(reply.number());
    if (found == unanswered_.end()) return;
    report = std::move(found->second);
    unanswered_.erase(found);
  }
  const bool settled =
      reply.verdict() == v1::VERDICT_ACCEPTED || reply.verdict() == v1::VERDICT_DUPLICATE;
  if (settled) Go(*runtime::FromWire(report.phase()), report);
}

// What follows a phase that is over.
void LightFleet::Node::Go(Phase finished, const v1::PhaseReport& report) {
  const auto attempt = static_cast<int>(report.attempt());
  switch (finished) {
    case Phase::kLocal: {
      std::unique_lock lock(mutex_);
      const bool alone = work_.local_layers() == work_.layers();
      lock.unlock();
      Report(id_.id, report.round(), attempt, alone ? Phase::kVerify : Phase::kUpload);
      break;
    }
    case Phase::kUpload: {
      std::unique_lock lock(mutex_);
      const std::string server = work_.server();
      lock.unlock();
      shared_.servers.at(server)->UploadCame(id_.id, report.round(), attempt);
      break;
    }
    case Phase::kServer:
      shared_.users.at(report.user())->Served(report.round(), attempt);
      break;
    case Phase::kDownload:
      Report(id_.id, report.round(), attempt, Phase::kVerify);
      break;
    case Phase::kVerify:
      shared_.Note([&](Progress& progress) { Count(&progress.done, report.round()); });
      break;
  }
}

LightFleet::LightFleet(const std::string& address,
                       const Scenario& scenario,
                       const runtime::CertificateAuthority& authority,
                       std::function<void(const Progress&)> on_progress)
    : shared_(std::make_unique<Shared>()) {
  shared_->on_progress = std::move(on_progress);
  const auto add = [&](const NodeId& id, v1::Hello hello) {
    const auto credentials = authority.Issue(id);
    DASHF_CHECK(credentials.has_value());
    nodes_.push_back(
        std::make_unique<Node>(address, *credentials, id, std::move(hello), shared_.get()));
    (id.role == Role::kServer ? shared_->servers : shared_->users)[id.id] = nodes_.back().get();
  };
  for (const Server& server : scenario.servers) {
    v1::Hello hello;
    v1::ServerCapabilities& report = *hello.mutable_server();
    *report.mutable_compute() = runtime::ToWire(server.compute);
    report.set_bandwidth_hz(server.bandwidth_hz);
    report.set_tx_power_w_max(server.tx_power_w_max);
    report.add_address("127.0.0.1:1");
    add(runtime::ServerNode(server.id), std::move(hello));
  }
  for (const User& user : scenario.users) {
    v1::Hello hello;
    v1::UserCapabilities& report = *hello.mutable_user();
    *report.mutable_compute() = runtime::ToWire(user.compute);
    report.set_tx_power_w_max(user.tx_power_w_max);
    report.set_memory_bytes_max(user.memory_bytes_max);
    *report.mutable_profile() = runtime::ToWire(scenario.ProfileOf(user));
    add(runtime::UserNode(user.id), std::move(hello));
  }
  beats_ = std::thread([this] { Beat(); });
}

LightFleet::~LightFleet() {
  shared_->stopped = true;
  beats_.join();
  for (const auto& node : nodes_) node->Stop();
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [this] { return shared_->streams == 0; });
}

void LightFleet::Beat() {
  std::size_t next = 0;  // Node to connect.
  for (int tick = 0; !shared_->stopped; ++tick) {
    const std::size_t registered = Now().registered;
    for (; next < nodes_.size() && next < registered + kConnectingMax; ++next) {
      nodes_[next]->Connect();
    }
    for (auto i = static_cast<std::size_t>(tick % kTicksPerBeat); i < next; i += kTicksPerBeat) {
      if (nodes_[i]->connected()) {
        nodes_[i]->Beat();
      } else {
        nodes_[i]->Connect();
      }
    }
    std::this_thread::sleep_for(kTick);
  }
}

bool LightFleet::WaitUntil(const std::function<bool(const Progress&)>& reached, double seconds) {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, milliseconds(static_cast<std::int64_t>(1e3 * seconds)), [&] {
    return reached(shared_->progress) || !shared_->progress.refusal.empty();
  });
  return reached(shared_->progress);
}

Progress LightFleet::Now() {
  const std::lock_guard lock(shared_->mutex);
  return shared_->progress;
}

}  // namespace dashf::loadtest
