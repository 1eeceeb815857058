// Mutual TLS for gRPC. Every port demands a certificate of the run's authority; who a peer is, is
// what its certificate says and nothing else.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/identity.h"
#include "runtime/node.h"

namespace dashf::runtime {

std::shared_ptr<grpc::ServerCredentials> ServerCredentialsOf(const Credentials& credentials);

// A channel that accepts only `peer` at the other end, notices a silent one within 30 s and takes
// messages of at most a chunk and its frame.
std::shared_ptr<grpc::Channel> ConnectTo(const NodeId& peer,
                                         const std::string& address,
                                         const Credentials& credentials);

// The same limits for a server; adds the port. The bound port comes back through `port`.
void ListenOn(grpc::ServerBuilder& builder,
              const std::string& address,
              const Credentials& credentials,
              int* port);

// The node that the peer's certificate names; none on a connection without one.
std::optional<NodeId> PeerOf(const grpc::ServerContextBase& context);

// One handshake before the first call, so that a refused certificate is told from a peer that is
// not there: kIdentity says which side refused and why, kIo that nobody answers. Blocks for at most
// `timeout_s` per network step.
Expected<void> TryHandshake(const NodeId& peer,
                            const std::string& address,
                            const Credentials& credentials,
                            int timeout_s);

}  // namespace dashf::runtime
