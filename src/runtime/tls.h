// Mutual TLS for gRPC. Every port demands a certificate of the fleet's authority; who a peer is, is
// what its certificate says and nothing else.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/live_credentials.h"
#include "runtime/node.h"
#include "runtime/revocation.h"

namespace dashf::runtime {

// A channel that accepts only `peer` at the other end, notices a silent one within 50 s and takes
// messages of at most a chunk and its frame. What replaces the credentials holds from its next
// connection on.
std::shared_ptr<grpc::Channel> ConnectTo(const NodeId& peer,
                                         const std::string& address,
                                         const LiveCredentials& credentials);

// The same limits for a server; adds the port. The bound port comes back through `port`.
void ListenOn(grpc::ServerBuilder& builder,
              const std::string& address,
              const LiveCredentials& credentials,
              int* port);

// For a server that could not be built at that address: with the cause, if it can be found.
Error CannotListen(const std::string& address);

// The node that the peer's certificate names; none on a connection without one.
std::optional<NodeId> PeerOf(const grpc::ServerContextBase& context);

// Whether the peer's certificate is one that the authority has revoked.
bool Revoked(const grpc::ServerContextBase& context, RevokedCertificates* revoked);

// One handshake before the first call, so that a refused certificate is told from a peer that is
// not there: kIdentity says which side refused and why, or who answered instead of `peer`; kIo that
// nobody answers. Blocks for at most
// `timeout_s` per network step and address that the host's name has.
Expected<void> TryHandshake(const NodeId& peer,
                            const std::string& address,
                            const LiveCredentials& credentials,
                            int timeout_s);

// The first of several addresses of one peer at which it answers; otherwise what went wrong at
// each, kIdentity if a certificate was refused at one.
Expected<std::string> FirstThatAnswers(const NodeId& peer,
                                       const std::vector<std::string>& addresses,
                                       const LiveCredentials& credentials,
                                       int timeout_s);

}  // namespace dashf::runtime
