// The coordinator's gRPC face: checks who asks and passes on what they say. What it means is
// decided elsewhere (coordinator.cc).
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "dashf.grpc.pb.h"
#include "runtime/node.h"

namespace dashf::runtime {

using SessionId = std::uint64_t;  // Of one stream; never used twice.

// Called from gRPC's threads, several at a time. Nodes are who their certificates say.
struct CoordinatorCalls {
  // `answer` may be called later, from any thread, exactly once; as every answer here.
  using SettingsAnswer = std::function<void(const grpc::Status&, const v1::SettingsReply&)>;
  std::function<void(const NodeId&, const v1::SettingsRequest&, SettingsAnswer answer)> settings;
  std::function<void(SessionId, const NodeId&, const v1::Hello&)> hello;
  std::function<void(SessionId, const NodeId&)> alive;
  std::function<void(SessionId, const NodeId&, bool goodbye)> closed;  // After a hello, once.
  std::function<void(SessionId, const NodeId&, const v1::PhaseReport&)> report;
  // Whether the authority has revoked the peer's certificate: asked before all of these.
  std::function<bool(const grpc::ServerContextBase&)> revoked;
  std::function<void(const NodeId&, const std::string& reason)> refused;  // Then, if it has.
};

// Thread-safe. Must not be called while a lock is held that `calls` take.
class CoordinatorService final : public v1::Coordinator::CallbackService {
 public:
  explicit CoordinatorService(CoordinatorCalls calls) : calls_(std::move(calls)) {}

  // Newer orders take the place of those that have not left yet; `last` ends the session after
  // them. A session that is gone hears nothing.
  void Send(SessionId session, v1::CoordinatorMessage message, bool last);
  void Refuse(SessionId session, const grpc::Status& status);
  // Whether the authority has meanwhile revoked the certificate of a session's peer.
  bool IsRevoked(SessionId session) const;
  std::size_t sessions() const;

  grpc::ServerUnaryReactor* Settings(grpc::CallbackServerContext* context,
                                     const v1::SettingsRequest* request,
                                     v1::SettingsReply* reply) override;
  grpc::ServerBidiReactor<v1::NodeMessage, v1::CoordinatorMessage>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  class Stream;

  const CoordinatorCalls calls_;
  mutable std::mutex mutex_;
  SessionId next_id_ = 1;
  std::map<SessionId, Stream*> streams_;
};

}  // namespace dashf::runtime
