#include "runtime/coordinator_service.h"

#include <fmt/format.h>

#include <memory>

#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

constexpr int kReportsMax = 16;  // Of one session that wait for their answer; then nothing is read.

// The node that the message names, if the peer's certificate says the same.
grpc::Status Identify(const CoordinatorCalls& calls,
                      const grpc::CallbackServerContext& context,
                      const v1::Node& claimed,
                      NodeId* node) {
  const auto peer = PeerOf(context);
  const auto named = FromWire(claimed);
  if (!peer) return {grpc::StatusCode::UNAUTHENTICATED, "no certificate names this peer"};
  if (!named || *named != *peer) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            fmt::format("the certificate is {}'s, the message speaks for {}",
                        Name(*peer),
                        named ? Name(*named) : "nobody")};
  }
  if (calls.revoked(context)) {
    const std::string reason = fmt::format("the certificate of {} is revoked", Name(*peer));
    calls.refused(*peer, reason);
    return {grpc::StatusCode::PERMISSION_DENIED, reason};
  }
  *node = *peer;
  return grpc::Status::OK;
}

// A question that waits for the coordinator's thread. One that nobody answers is to be asked again.
class Pending {
 public:
  Pending(grpc::ServerUnaryReactor* reactor, v1::SettingsReply* reply)
      : reactor_(reactor), reply_(reply) {}
  ~Pending() {
    if (!answered_) reactor_->Finish({grpc::StatusCode::UNAVAILABLE, "the coordinator stops"});
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  void Answer(const grpc::Status& status, const v1::SettingsReply& reply) {
    answered_ = true;
    *reply_ = reply;
    reactor_->Finish(status);
  }

 private:
  grpc::ServerUnaryReactor* const reactor_;
  v1::SettingsReply* const reply_;
  bool answered_ = false;
};

}  // namespace

// One node's session. Deletes itself when gRPC is done with it. Calls of the service's owner are
// made without its lock.
class CoordinatorService::Stream final
    : public grpc::ServerBidiReactor<v1::NodeMessage, v1::CoordinatorMessage> {
 public:
  Stream(CoordinatorService* service, grpc::CallbackServerContext* context, SessionId id)
      : service_(service), context_(context), id_(id) {}

  // Once the service knows it.
  void Begin() { StartRead(&message_); }

  void Send(v1::CoordinatorMessage message, bool last) {
    const std::lock_guard lock(mutex_);
    if (message.has_orders()) waiting_.mutable_orders()->Swap(message.mutable_orders());
    for (v1::ReportReply& reply : *message.mutable_replies()) {
      waiting_.add_replies()->Swap(&reply);
    }
    last_ = last_ || last;
    WriteNext();
  }
  bool IsRevoked() const { return service_->calls_.revoked(*context_); }
  void End(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    EndLocked(status);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return End({grpc::StatusCode::CANCELLED, "the node has gone"});
    switch (message_.what_case()) {
      case v1::NodeMessage::kHello: {
        if (known_) return End({grpc::StatusCode::INVALID_ARGUMENT, "a second hello"});
        const grpc::Status status =
            Identify(service_->calls_, *context_, message_.hello().node(), &node_);
        if (!status.ok()) return End(status);
        known_ = true;
        service_->calls_.hello(id_, node_, message_.hello());
        break;
      }
      case v1::NodeMessage::kAlive:
      case v1::NodeMessage::kGoodbye:
        if (!known_) return End({grpc::StatusCode::INVALID_ARGUMENT, "no hello before"});
        goodbye_ = message_.has_goodbye();
        if (!goodbye_) service_->calls_.alive(id_, node_);
        break;
      case v1::NodeMessage::kReport:
        if (!known_) return End({grpc::StatusCode::INVALID_ARGUMENT, "no hello before"});
        service_->calls_.report(id_, node_, message_.report());
        return ReadAfterReport();
      default:
        return End({grpc::StatusCode::INVALID_ARGUMENT, "an unknown kind of message"});
    }
    StartRead(&message_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return EndLocked({grpc::StatusCode::CANCELLED, "the node has gone"});
    const bool full = unanswered_ >= kReportsMax;
    unanswered_ -= sent_.replies_size();
    if (full && unanswered_ < kReportsMax && !finished_) StartRead(&message_);
    WriteNext();
  }

  void OnCancel() override { End({grpc::StatusCode::CANCELLED, "the node has gone"}); }

  void OnDone() override {
    {
      const std::lock_guard lock(service_->mutex_);
      service_->streams_.erase(id_);
    }
    if (known_) service_->calls_.closed(id_, node_, goodbye_);
    delete this;
  }

 private:
  void ReadAfterReport() {
    const std::lock_guard lock(mutex_);
    if (++unanswered_ < kReportsMax && !finished_) StartRead(&message_);
  }

  void WriteNext() {
    if (writing_ || finished_) return;
    if (waiting_.has_orders() || waiting_.replies_size() > 0) {
      writing_ = true;
      sent_.Clear();
      sent_.Swap(&waiting_);
      StartWrite(&sent_);
    } else if (last_) {
      EndLocked(grpc::Status::OK);
    }
  }

  void EndLocked(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }

  CoordinatorService* const service_;
  grpc::CallbackServerContext* const context_;
  const SessionId id_;
  v1::NodeMessage message_;  // The reads', one at a time, as all until mutex_.
  NodeId node_;
  bool known_ = false, goodbye_ = false;
  std::mutex mutex_;
  v1::CoordinatorMessage waiting_, sent_;
  int unanswered_ = 0;  // Reports.
  bool writing_ = false, last_ = false, finished_ = false;
};

void CoordinatorService::Send(SessionId session, v1::CoordinatorMessage message, bool last) {
  const std::lock_guard lock(mutex_);
  const auto stream = streams_.find(session);
  if (stream != streams_.end()) stream->second->Send(std::move(message), last);
}

void CoordinatorService::Refuse(SessionId session, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  const auto stream = streams_.find(session);
  if (stream != streams_.end()) stream->second->End(status);
}

bool CoordinatorService::IsRevoked(SessionId session) const {
  const std::lock_guard lock(mutex_);
  const auto stream = streams_.find(session);
  return stream != streams_.end() && stream->second->IsRevoked();
}

std::size_t CoordinatorService::sessions() const {
  const std::lock_guard lock(mutex_);
  return streams_.size();
}

grpc::ServerBidiReactor<v1::NodeMessage, v1::CoordinatorMessage>* CoordinatorService::Session(
    grpc::CallbackServerContext* context) {
  Stream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const SessionId id = next_id_++;
    stream = new Stream(this, context, id);
    streams_[id] = stream;
  }
  stream->Begin();
  return stream;
}

grpc::ServerUnaryReactor* CoordinatorService::Settings(grpc::CallbackServerContext* context,
                                                       const v1::SettingsRequest* request,
                                                       v1::SettingsReply* reply) {
  NodeId node;
  const grpc::Status status = Identify(calls_, *context, request->node(), &node);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!status.ok()) {
    reactor->Finish(status);
    return reactor;
  }
  calls_.settings(node,
                  *request,
                  [pending = std::make_shared<Pending>(reactor, reply)](
                      const grpc::Status& answer, const v1::SettingsReply& settings) {
                    pending->Answer(answer, settings);
                  });
  return reactor;
}

}  // namespace dashf::runtime
