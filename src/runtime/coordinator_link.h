// A node's side of its talk with the coordinator: registered once, then instructions come in and
// reports go out. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "dashf.grpc.pb.h"
#include "runtime/live_credentials.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

class CoordinatorLink {
 public:
  // Shakes hands (waiting a little for the coordinator to be there), registers, follows.
  // kIdentity if either side refuses the other's certificate, kRoundFailed if the coordinator
  // refuses the node, kIo if nobody answers.
  static Expected<std::unique_ptr<CoordinatorLink>> Open(const NodeConfig& config,
                                                         const LiveCredentials& credentials,
                                                         const v1::RegisterRequest& registration);
  ~CoordinatorLink();
  CoordinatorLink(const CoordinatorLink&) = delete;
  CoordinatorLink& operator=(const CoordinatorLink&) = delete;

  // The next instruction, waiting for it; none once the coordinator is gone.
  std::optional<v1::Instruction> Next();
  // The node's part is over: it was told so, or the coordinator is gone.
  bool Over() const { return over_; }

  // Sends a report until it is acknowledged; repeated on lost connections, for reports are
  // idempotent. kRoundFailed with the coordinator's reason if it is refused.
  Expected<void> Report(const v1::PhaseReport& report);

 private:
  CoordinatorLink(const NodeConfig& config,
                  const std::string& address,
                  const LiveCredentials& credentials);
  void Follow();

  const NodeConfig& config_;
  std::unique_ptr<v1::Coordinator::Stub> stub_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<v1::Instruction> instructions_;
  bool gone_ = false;
  std::atomic<bool> over_ = false;
  grpc::ClientContext follow_context_;
  std::thread follower_;
};

}  // namespace dashf::runtime
