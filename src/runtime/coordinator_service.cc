#include "runtime/coordinator_service.h"

#include <fmt/format.h>

#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

// Ends a call at once with this status.
class RefusedFollow final : public grpc::ServerWriteReactor<v1::Instruction> {
 public:
  explicit RefusedFollow(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

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
    return {grpc::StatusCode::PERMISSION_DENIED,
            fmt::format("the certificate of {} is revoked", Name(*peer))};
  }
  *node = *peer;
  return grpc::Status::OK;
}

}  // namespace

// One node's stream of instructions. Deletes itself when gRPC is done with it.
class CoordinatorService::Follower final : public grpc::ServerWriteReactor<v1::Instruction> {
 public:
  Follower(CoordinatorService* service, NodeId node, std::deque<Outgoing> outbox)
      : service_(service), node_(std::move(node)), outbox_(std::move(outbox)) {}

  void Begin() {
    const std::lock_guard lock(mutex_);
    StartSendInitialMetadata();  // Tells the node that it is being followed before anything is
                                 // said.
    WriteNext();
  }

  void Send(Outgoing outgoing) {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    if (outbox_.size() >= kOutboxMax) {
      End({grpc::StatusCode::RESOURCE_EXHAUSTED, "the node does not read its instructions"});
      return;
    }
    outbox_.push_back(std::move(outgoing));
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    const bool last = outbox_.front().last;
    outbox_.pop_front();
    if (!ok) {
      End({grpc::StatusCode::CANCELLED, "the node has gone"});
    } else if (last) {
      End(grpc::Status::OK);
    } else {
      WriteNext();
    }
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    if (!writing_) End({grpc::StatusCode::CANCELLED, "the node has gone"});
  }

  void OnDone() override {
    {
      const std::lock_guard lock(service_->mutex_);
      service_->followers_.erase(node_);
    }
    service_->calls_.stopped_following(node_);
    delete this;
  }

 private:
  void WriteNext() {
    if (writing_ || finished_ || outbox_.empty()) return;
    writing_ = true;
    StartWrite(&outbox_.front().instruction);
  }

  void End(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }

  CoordinatorService* const service_;
  const NodeId node_;
  std::mutex mutex_;
  std::deque<Outgoing> outbox_;
  bool writing_ = false;
  bool finished_ = false;
};

void CoordinatorService::Send(const NodeId& node, v1::Instruction instruction, bool last) {
  const std::lock_guard lock(mutex_);
  const auto follower = followers_.find(node);
  if (follower != followers_.end()) {
    follower->second->Send({std::move(instruction), last});
  } else if (outboxes_[node].size() < kOutboxMax) {
    outboxes_[node].push_back({std::move(instruction), last});
  }
}

bool CoordinatorService::Followed(const NodeId& node) const {
  const std::lock_guard lock(mutex_);
  return followers_.contains(node);
}

bool CoordinatorService::AnyFollower() const {
  const std::lock_guard lock(mutex_);
  return !followers_.empty();
}

grpc::ServerUnaryReactor* CoordinatorService::Register(grpc::CallbackServerContext* context,
                                                       const v1::RegisterRequest* request,
                                                       v1::RegisterReply* reply) {
  NodeId node;
  grpc::Status status = Identify(calls_, *context, request->node(), &node);
  if (status.ok()) status = calls_.register_node(node, *request, reply);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorService::Report(grpc::CallbackServerContext* context,
                                                     const v1::PhaseReport* request,
                                                     v1::ReportReply* reply) {
  NodeId node;
  grpc::Status status = Identify(calls_, *context, request->reporter(), &node);
  if (status.ok()) status = calls_.report(node, *request, reply);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

grpc::ServerWriteReactor<v1::Instruction>* CoordinatorService::Follow(
    grpc::CallbackServerContext* context, const v1::FollowRequest* request) {
  NodeId node;
  grpc::Status status = Identify(calls_, *context, request->node(), &node);
  if (status.ok()) status = calls_.may_follow(node, *request);
  if (!status.ok()) return new RefusedFollow(status);
  const std::lock_guard lock(mutex_);
  if (followers_.contains(node)) {
    return new RefusedFollow({grpc::StatusCode::ALREADY_EXISTS, "the node follows already"});
  }
  auto* follower = new Follower(this, node, std::move(outboxes_[node]));
  outboxes_.erase(node);
  followers_[node] = follower;
  follower->Begin();
  return follower;
}

}  // namespace dashf::runtime
