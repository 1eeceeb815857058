// The coordinator's gRPC face for operators (proto/operator.proto): checks who asks, and asks the
// coordinator's thread for a piece at a time.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "fleet/event.h"
#include "fleet/step.h"
#include "operator.grpc.pb.h"
#include "runtime/fleet_view.h"
#include "runtime/node.h"
#include "runtime/recent_lines.h"

namespace dashf::runtime {

// Called from gRPC's threads, several at a time; each returns at once.
struct OperatorCalls {
  using Look = std::function<void(const fleet::State&, const SignOf&)>;
  using Answer = std::function<void(const fleet::StepResult&, const fleet::State&)>;
  // Runs on the coordinator's thread, soon; a coordinator that stops destroys it instead.
  std::function<void(Look look)> look;
  // The same once the event is in the log, or was found to change nothing.
  std::function<void(const NodeId& by, const fleet::Event& event, Answer answer)> steer;
  std::function<bool(const grpc::ServerContextBase&)> revoked;
};

class OperatorService final : public v1::Operator::Service {
 public:
  // `rounds`: the folder of all rounds' records. `recent` has the coordinator's events.
  OperatorService(OperatorCalls calls,
                  std::filesystem::path rounds,
                  std::shared_ptr<RecentLines> recent);

  // Who follows the events has then seen the last of them, however long the coordinator stays.
  void SayFleetEnded() { ended_ = true; }

  grpc::Status Status(grpc::ServerContext* context,
                      const v1::StatusRequest* request,
                      v1::Document* reply) override;
  grpc::Status Nodes(grpc::ServerContext* context,
                     const v1::NodesRequest* request,
                     grpc::ServerWriter<v1::Document>* writer) override;
  grpc::Status Rounds(grpc::ServerContext* context,
                      const v1::RoundsRequest* request,
                      grpc::ServerWriter<v1::Document>* writer) override;
  grpc::Status Steer(grpc::ServerContext* context,
                     const v1::SteerRequest* request,
                     v1::SteerReply* reply) override;
  grpc::Status Logs(grpc::ServerContext* context,
                    const v1::LogsRequest* request,
                    grpc::ServerWriter<v1::Document>* writer) override;

 private:
  class Call;

  // Nothing: the coordinator stops, or has not answered in time.
  template <class T>
  std::optional<T> Ask(const std::function<T(const fleet::State&, const SignOf&)>& question);
  grpc::Status WriteParts(std::uint32_t round, grpc::ServerWriter<v1::Document>* writer);
  grpc::Status WriteRecord(std::uint32_t round, grpc::ServerWriter<v1::Document>* writer) const;

  const OperatorCalls calls_;
  const std::filesystem::path rounds_;
  const std::shared_ptr<RecentLines> recent_;
  const fleet::Millis started_;
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;
  std::map<NodeId, int> going_on_;  // Calls, by operator.
};

}  // namespace dashf::runtime
