// What a node presents and whom it believes, renewed while it runs: its files are looked at once a
// second, and what replaces them is taken if it is sound, for every handshake from then on. What
// stands goes on; what is unsound is told and not taken.
#pragma once

#include <grpcpp/security/tls_certificate_provider.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/identity.h"
#include "runtime/log.h"
#include "runtime/node.h"

namespace dashf::runtime {

// Thread-safe. Copies share what they watch.
class LiveCredentials {
 public:
  // Called from any thread.
  using Notice = std::function<void(LogLevel level, const std::string& message)>;
  using Provider = grpc::experimental::CertificateProviderInterface;

  // Of a node's files (LoadCredentials says what is checked). `notice` is told, from another
  // thread, of what replaced them or why it did not, of a certificate that is about to end, and of
  // a key that others may read.
  static Expected<LiveCredentials> Load(const CredentialPaths& paths,
                                        const NodeId& node,
                                        Notice notice);
  // Ones that stay as they are.
  LiveCredentials(const Credentials& fixed);  // NOLINT: wherever live ones are taken.

  Credentials Current() const;
  std::shared_ptr<Provider> provider() const;

 private:
  class State;
  explicit LiveCredentials(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// What a node says of its credentials.
LiveCredentials::Notice NoticeTo(const Log& log);

}  // namespace dashf::runtime
