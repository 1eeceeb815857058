// The edge server's gRPC face: takes uploads, gives results, and lets nobody touch another user's.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "dashf.grpc.pb.h"
#include "runtime/node.h"
#include "runtime/user_store.h"
#include "runtime/watchdog.h"

namespace dashf::runtime {

// Thread-safe. A transfer that makes no progress for 30 s is cancelled; of one peer, a few at a
// time are taken. The store must outlive the server that this is registered with.
class EdgeService final : public v1::EdgeServer::CallbackService {
 public:
  EdgeService(NodeId node, UserStore* store) : node_(std::move(node)), store_(store) {}
  ~EdgeService() override { disk_.join(); }
  EdgeService(const EdgeService&) = delete;
  EdgeService& operator=(const EdgeService&) = delete;

  // How fast an attempt's downloads that begin from now on may go; 0: as fast as they can.
  void SetPace(const Attempt& attempt, double download_bit_per_s);

  grpc::ServerBidiReactor<v1::UploadPart, v1::UploadProgress>* Upload(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::DownloadPart>* Download(grpc::CallbackServerContext* context,
                                                       const v1::DownloadRequest* request) override;

 private:
  class Call;
  class Uploading;
  class Downloading;

  double PaceOf(const Attempt& attempt);

  const NodeId node_;
  UserStore* const store_;
  Watchdog watchdog_;
  std::mutex mutex_;
  std::map<std::string, int> calls_;                         // That go on, by peer.
  std::map<std::string, std::pair<Attempt, double>> paces_;  // By user.
  // For what waits for the disk: gRPC's own threads are few, and serve all peers.
  boost::asio::thread_pool disk_{4};
};

}  // namespace dashf::runtime
