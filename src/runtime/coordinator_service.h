// The coordinator's gRPC face: checks who asks, passes requests on as function calls, and keeps one
// outbox of instructions per node. What the requests mean is decided elsewhere (coordinator.cc).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "dashf.grpc.pb.h"
#include "runtime/node.h"

namespace dashf::runtime {

// Called from gRPC's threads, several at a time. Nodes are who their certificates say.
struct CoordinatorCalls {
  std::function<grpc::Status(const NodeId&, const v1::RegisterRequest&, v1::RegisterReply*)>
      register_node;
  std::function<grpc::Status(const NodeId&, const v1::PhaseReport&, v1::ReportReply*)> report;
  std::function<grpc::Status(const NodeId&, const v1::FollowRequest&)> may_follow;
  // Whether the authority has revoked the peer's certificate: asked before each of the above.
  std::function<bool(const grpc::ServerContextBase&)> revoked;
  std::function<void(const NodeId&)> stopped_following;  // Its stream has ended, whyever.
};

// Thread-safe. Calls may be made, and Send() used from within them.
class CoordinatorService final : public v1::Coordinator::CallbackService {
 public:
  explicit CoordinatorService(CoordinatorCalls calls) : calls_(std::move(calls)) {}

  // Puts an instruction into the node's outbox; it leaves when the node follows. `last` ends the
  // stream after it. More than kOutboxMax waiting instructions end it at once.
  void Send(const NodeId& node, v1::Instruction instruction, bool last);
  bool Followed(const NodeId& node) const;
  bool AnyFollower() const;

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const v1::RegisterRequest* request,
                                     v1::RegisterReply* reply) override;
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context,
                                   const v1::PhaseReport* request,
                                   v1::ReportReply* reply) override;
  grpc::ServerWriteReactor<v1::Instruction>* Follow(grpc::CallbackServerContext* context,
                                                    const v1::FollowRequest* request) override;

 private:
  class Follower;
  struct Outgoing {
    v1::Instruction instruction;
    bool last = false;
  };
  static constexpr std::size_t kOutboxMax = 256;

  const CoordinatorCalls calls_;
  mutable std::mutex mutex_;
  std::map<NodeId, Follower*> followers_;
  std::map<NodeId, std::deque<Outgoing>> outboxes_;  // Of nodes that do not follow yet.
};

}  // namespace dashf::runtime
