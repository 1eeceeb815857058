#include "runtime/session.h"

#include <fmt/format.h>

#include <utility>

#include "fleet/user_agent.h"
#include "runtime/back_off.h"
#include "runtime/messages.h"
#include "runtime/process.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using std::chrono::milliseconds;

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

void Session::Say(LogLevel level, const std::string& line) {
  if (line == said_) return;
  said_ = line;
  listener_.log.Write(level, "session", line);
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
      Say(LogLevel::kWarning, fmt::format("refused, and trying again ({})", met.error().Text()));
    } else if (!met) {
      Say(LogLevel::kInfo,
          fmt::format("the coordinator is not there yet ({})", met.error().Text()));
    } else {
      Reach(*met);
      if (!RunStream()) return;
    }
    if (connected_) pause.Reset();
  } while (WaitFor(pause.Next()));
}

void Session::Reach(const std::string& address) {
  if (address == address_) return;
  address_ = address;
  stub_ = v1::Coordinator::NewStub(ConnectTo(CoordinatorNode(), address, credentials_));
}

bool Session::RunStream() {
  grpc::ClientContext context;
  const auto stream = stub_->Session(&context);
  v1::NodeMessage message;
  *message.mutable_hello() = hello_;
  bool over = false;  // Guarded by mutex_.
  std::thread talking;
  if (stream->Write(message)) {
    const std::lock_guard lock(mutex_);
    sent_ = false;  // What an earlier stream has taken along may be lost.
    talking = std::thread([&] { Talk(stream.get(), &context, over); });
  }
  for (v1::CoordinatorMessage heard; stream->Read(&heard);) Hear(std::move(heard));
  {
    const std::lock_guard lock(mutex_);
    over = true;
    changed_.notify_all();
  }
  if (talking.joinable()) talking.join();
  return MayTryAgain(stream->Finish());
}

// All that is written to a stream after its hello.
void Session::Talk(Stream* stream, grpc::ClientContext* context, const bool& over) {
  std::unique_lock lock(mutex_);
  for (auto beat = std::chrono::steady_clock::now() + kBeat;;) {
    const auto to_report = [this] { return report_ && !sent_; };
    changed_.wait_until(lock, beat, [&] { return stop_ || over || to_report(); });
    if (stop_ || over) break;
    v1::NodeMessage message;
    if (to_report()) {
      *message.mutable_report() = *report_;
      sent_ = true;
    } else {
      message.mutable_alive();
      beat += kBeat;
    }
    lock.unlock();
    const bool written = stream->Write(message);
    lock.lock();
    if (!written) return;
  }
  if (over) return;
  lock.unlock();
  v1::NodeMessage message;
  message.mutable_goodbye();
  stream->Write(message);
  stream->WritesDone();
  context->TryCancel();
}

void Session::Hear(v1::CoordinatorMessage message) {
  connected_ = true;
  said_.clear();
  for (v1::ReportReply& reply : *message.mutable_replies()) {
    const std::lock_guard lock(mutex_);
    if (!report_ || reply.number() != report_->number()) continue;
    reply_ = std::move(reply);
    changed_.notify_all();
  }
  if (!message.has_orders()) return;
  left_ = left_ || message.orders().has_leave();
  listener_.on_orders(message.orders());
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
  if (left_) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
    return false;
  }
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
      Say(LogLevel::kWarning, "waiting: " + status.error_message());
      return true;
    default:
      Say(connected_ ? LogLevel::kWarning : LogLevel::kInfo,
          connected_ ? "the coordinator is away; going on and trying again"
                     : "the coordinator is not there yet");
      return true;
  }
}

std::optional<v1::ReportReply> Session::Ask(v1::PhaseReport report) {
  std::unique_lock lock(mutex_);
  report.set_number(++reports_);
  report_ = std::move(report);
  sent_ = false;
  reply_.reset();
  changed_.notify_all();
  changed_.wait(lock, [this] { return stop_ || ended_ || reply_; });
  report_.reset();
  if (reply_) return std::exchange(reply_, std::nullopt);
  if (stop_) return std::nullopt;
  v1::ReportReply nobody_waits;
  nobody_waits.set_verdict(v1::VERDICT_STALE);
  return nobody_waits;
}

Expected<std::optional<fleet::Verdict>> Session::Report(const fleet::PhaseFinished& report) {
  const v1::PhaseReport wire = ToWire(incarnation(), report);
  BackOff pause;
  do {
    const auto reply = Ask(wire);
    if (!reply) break;
    if (!reply->malformed().empty()) {
      return Fail(ErrorKind::kRoundFailed, "coordinator", reply->malformed());
    }
    const auto verdict = FromWire(reply->verdict());
    if (verdict && fleet::Settled(*verdict)) return verdict;
  } while (WaitFor(pause.Next()));
  return std::optional<fleet::Verdict>();
}

}  // namespace dashf::runtime
