// The edge server's gRPC face: takes uploads, gives results, and lets nobody touch another user's.
#pragma once

#include "dashf.grpc.pb.h"
#include "runtime/node.h"
#include "runtime/user_store.h"
#include "runtime/watchdog.h"

namespace dashf::runtime {

// Thread-safe. A transfer that makes no progress for 30 s is cancelled.
class EdgeService final : public v1::EdgeServer::CallbackService {
 public:
  EdgeService(NodeId node, std::uint32_t round, UserStore* store)
      : node_(std::move(node)), round_(round), store_(store) {}

  grpc::ServerReadReactor<v1::UploadPart>* Upload(grpc::CallbackServerContext* context,
                                                  v1::UploadReply* reply) override;
  grpc::ServerWriteReactor<v1::DownloadPart>* Download(grpc::CallbackServerContext* context,
                                                       const v1::DownloadRequest* request) override;

 private:
  class Uploading;
  class Downloading;

  // Does the message come from the user it names, in this round?
  grpc::Status Identify(const grpc::CallbackServerContext& context,
                        std::uint32_t round,
                        const std::string& user) const;

  const NodeId node_;
  const std::uint32_t round_;
  UserStore* const store_;
  Watchdog watchdog_;
};

}  // namespace dashf::runtime
