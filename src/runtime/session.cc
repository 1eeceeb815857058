#include "runtime/session.h"

#include <fmt/format.h>

#include "fleet/user_agent.h"
#include "runtime/back_off.h"
#include "runtime/messages.h"
#include "runtime/process.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kCallDeadline(20);
constexpr milliseconds kBeat(3'000);  // A fifth of the usual lease.
constexpr int kHandshakeTimeoutS = 15;
constexpr int kIdentityTries =
    3;  // A coordinator that dies in the handshake looks like one that refuses.

}  // namespace

Session::Session(const NodeConfig& config,
                 const LiveCredentials& credentials,
                 v1::Hello hello,
                 Listener listener)
    : config_(config),
      credentials_(credentials),
      hello_(std::move(hello)),
      listener_(std::move(listener)) {
  *hello_.mutable_node() = ToWire(config.node);
  hello_.set_incarnation(RandomNumber());
  hello_.set_process(ThisProcess());
  hello_.set_fleet(config.fleet);
  thread_ = std::thread([this] { Run(); });
}

Session::~Session() {
  Stop();
  thread_.join();
}

void Session::Stop() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  changed_.notify_all();
}

bool Session::WaitFor(milliseconds pause) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, pause, [this] { return stop_; });
}

void Session::Say(const std::string& line) {
  if (line == said_) return;
  said_ = line;
  listener_.on_line(line);
}

void Session::Run() {
  BackOff pause;
  bool welcome = false;  // Has been, so a certificate that is refused has ended and may be renewed.
  int refused = 0;       // In a row.
  do {
    const auto met =
        FirstThatAnswers(CoordinatorNode(), config_.coordinator, credentials_, kHandshakeTimeoutS);
    welcome = welcome || connected_;
    refused = !met && met.error().kind != ErrorKind::kIo ? refused + 1 : 0;
    if (refused == kIdentityTries && !welcome) return listener_.on_refused(met.error());
    connected_ = false;
    if (refused > 0) {
      Say(fmt::format("refused, and trying again ({})", met.error().Text()));
    } else if (!met) {
      Say(fmt::format("the coordinator is not there yet ({})", met.error().Text()));
    } else {
      Reach(*met);
      if (!RunStream()) return;
    }
    if (connected_) pause.Reset();
  } while (WaitFor(pause.Next()));
}

void Session::Reach(const std::string& address) {
  const std::lock_guard lock(mutex_);
  if (address == address_) return;
  address_ = address;
  stub_ = v1::Coordinator::NewStub(ConnectTo(CoordinatorNode(), address, credentials_));
}

std::shared_ptr<v1::Coordinator::Stub> Session::Stub() {
  const std::lock_guard lock(mutex_);
  return stub_;
}

bool Session::RunStream() {
  grpc::ClientContext context;
  const auto stub = Stub();
  const auto stream = stub->Session(&context);
  v1::NodeMessage message;
  *message.mutable_hello() = hello_;
  bool over = false;  // Guarded by mutex_.
  std::thread beats;
  if (stream->Write(message)) {
    beats = std::thread([&] {
      v1::NodeMessage beat;
      beat.mutable_alive();
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, kBeat, [&] { return stop_ || over; })) {
        lock.unlock();
        const bool sent = stream->Write(beat);
        lock.lock();
        if (!sent) break;
      }
      if (stop_ && !over) {
        lock.unlock();
        beat.mutable_goodbye();
        stream->Write(beat);
        stream->WritesDone();
        context.TryCancel();
      }
    });
  }
  for (v1::Orders orders; stream->Read(&orders);) {
    connected_ = true;
    left_ = left_ || orders.has_leave();
    said_.clear();
    listener_.on_orders(orders);
  }
  {
    const std::lock_guard lock(mutex_);
    over = true;
    changed_.notify_all();
  }
  if (beats.joinable()) beats.join();
  return MayTryAgain(stream->Finish());
}

std::optional<Error> RefusalIn(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return Error{ErrorKind::kIdentity, "coordinator", status.error_message()};
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::NOT_FOUND:
      return Error{ErrorKind::kBadInput, "coordinator", status.error_message()};
    default:
      return std::nullopt;
  }
}

// Whether another stream may be tried.
bool Session::MayTryAgain(const grpc::Status& status) {
  if (left_) return false;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return false;  // It leaves itself, and the coordinator need not be away.
  }
  if (const auto refused = RefusalIn(status)) {
    listener_.on_refused(*refused);
    return false;
  }
  switch (status.error_code()) {
    case grpc::StatusCode::ABORTED:
      listener_.on_outdated(status.error_message());
      return false;
    case grpc::StatusCode::ALREADY_EXISTS:
      Say("waiting: " + status.error_message());
      return true;
    default:
      Say(connected_ ? "the coordinator is away; going on and trying again"
                     : "the coordinator is not there yet");
      return true;
  }
}

Expected<std::optional<fleet::Verdict>> Session::Report(const fleet::PhaseFinished& report) {
  const v1::PhaseReport wire = ToWire(config_.node, incarnation(), report);
  BackOff pause;
  do {
    const auto stub = Stub();
    if (stub == nullptr) continue;  // No coordinator has answered yet.
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    v1::ReportReply reply;
    const grpc::Status status = stub->Report(&context, wire, &reply);
    if (status.ok()) {
      const auto verdict = FromWire(reply.verdict());
      if (verdict && fleet::Settled(*verdict)) return verdict;
    } else if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
               status.error_code() == grpc::StatusCode::PERMISSION_DENIED) {
      return Fail(ErrorKind::kRoundFailed, "coordinator", status.error_message());
    }
  } while (WaitFor(pause.Next()));
  return std::optional<fleet::Verdict>();
}

}  // namespace dashf::runtime
