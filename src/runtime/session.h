// A node's side of its talk with the coordinator: a session that is opened again and again, and
// reports that are sent until they are answered. A coordinator that is away costs nothing but
// waiting. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "dashf.grpc.pb.h"
#include "fleet/step.h"
#include "runtime/live_credentials.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// Whether, and why, the coordinator will not have this node however often it asks: kIdentity for a
// certificate, kBadInput for the rest.
std::optional<Error> RefusalIn(const grpc::Status& status);

class Session {
 public:
  struct Listener {  // Called from the session's thread; must not block for long.
    std::function<void(const v1::Orders&)> on_orders;
    Log log = {};  // What happens to the connection.
    // It will not be opened again: a certificate is refused (kIdentity) or the node may not take
    // part (kBadInput).
    std::function<void(const Error&)> on_refused;
    // It will not be opened again either: the node's training settings are not the fleet's any
    // more, with what differs.
    std::function<void(const std::string&)> on_outdated;
  };

  // `config` and `credentials` must outlive it. `hello` lacks node and incarnation.
  Session(const NodeConfig& config,
          const LiveCredentials& credentials,
          v1::Hello hello,
          Listener listener);
  ~Session();  // Says good-bye.
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::uint64_t incarnation() const { return hello_.incarnation(); }
  // Blocks until the coordinator has answered, or Stop(): then nothing. One at a time. kRoundFailed
  // if the coordinator cannot make sense of it; kStale if the fleet is over without it.
  Expected<std::optional<fleet::Verdict>> Report(const fleet::PhaseFinished& report);
  void Stop();  // Ends everything that blocks.

 private:
  void Run();
  void Reach(const std::string& address);
  // One stream, until it ends; whether another may be tried.
  bool RunStream();
  using Stream = grpc::ClientReaderWriter<v1::NodeMessage, v1::CoordinatorMessage>;
  void Talk(Stream* stream, grpc::ClientContext* context, const bool& over);
  void Hear(v1::CoordinatorMessage message);
  std::optional<v1::ReportReply> Ask(v1::PhaseReport report);  // None once stopped.
  bool MayTryAgain(const grpc::Status& status);
  bool WaitFor(std::chrono::milliseconds pause);      // False once stopped.
  void Say(LogLevel level, const std::string& line);  // Not twice the same in a row.

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  v1::Hello hello_;
  const Listener listener_;
  // The thread's.
  std::string address_;  // Where the coordinator answered last.
  std::unique_ptr<v1::Coordinator::Stub> stub_;
  bool connected_ = false;
  bool left_ = false;  // It was told that the fleet is over, and expects nothing further.
  std::string said_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;                      // Guarded by mutex_, as all that follows.
  bool ended_ = false;                     // The fleet is over, and no stream will be opened again.
  std::optional<v1::PhaseReport> report_;  // That waits to be answered.
  bool sent_ = false;                      // Over the stream that stands.
  std::optional<v1::ReportReply> reply_;
  std::uint64_t reports_ = 0;
  std::thread thread_;
};

}  // namespace dashf::runtime
