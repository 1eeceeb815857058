// A user's side of its talk with its server: data set and adapters of layers 1..k go there, the
// adapters that the server has trained come back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "dashf.grpc.pb.h"
#include "runtime/attempt.h"
#include "runtime/live_credentials.h"
#include "runtime/node.h"
#include "runtime/watchdog.h"

namespace dashf::runtime {

struct Transferred {
  std::uint64_t bytes = 0;
  double elapsed_s = 0.0;
};

class EdgeLink {
 public:
  // `credentials` must outlive it. Connects with the first transfer.
  EdgeLink(Attempt attempt, NodeId server, std::string address, const LiveCredentials& credentials);

  // kIdentity if either side refuses the other's certificate, kRoundFailed with the server's reason
  // if it refuses or breaks the transfer. `adapters` is empty if k = 0.
  Expected<Transferred> Upload(std::string_view data, std::string_view adapters);
  Expected<Transferred> Download(std::string* adapters);  // kBadInput too, for broken bytes.

 private:
  Expected<void> ShakeHands() const;
  Error Failed(const grpc::Status& status) const;

  const Attempt attempt_;
  const NodeId server_;
  const std::string address_;
  const LiveCredentials& credentials_;
  const std::unique_ptr<v1::EdgeServer::Stub> stub_;
  Watchdog watchdog_;
};

}  // namespace dashf::runtime
