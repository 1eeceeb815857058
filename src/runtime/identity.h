// Certificates: who a node is. A run has one authority, made for it and forgotten after its
// certificates are written: its key exists in memory only. A node's certificate carries its name as
// common name and its host name as subject alternative name, and serves both ends of a connection.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/node.h"

namespace dashf::runtime {

// PEM texts, as TLS wants them.
struct Credentials {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
};

struct CredentialPaths {
  std::string ca, certificate, key;
};

struct Validity {
  std::chrono::seconds from{-300};  // Relative to now; clocks differ a little.
  std::chrono::seconds until{std::chrono::hours(24 * 30)};
};

class CertificateAuthority {
 public:
  static Expected<CertificateAuthority> Create(const Validity& validity = {});
  // A fresh P-256 key and its certificate. kIdentity if OpenSSL refuses.
  Expected<Credentials> Issue(const NodeId& node, const Validity& validity = {}) const;

 private:
  struct State;
  explicit CertificateAuthority(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// Where WriteCredentials puts a node's three files: ca.pem, user-u3.pem, user-u3.key.
CredentialPaths PathsIn(const std::filesystem::path& folder, const NodeId& node);

// Writes them; the key's file and the folder are their owner's alone (0600, 0700).
Expected<void> WriteCredentials(const std::filesystem::path& folder,
                                const NodeId& node,
                                const Credentials& credentials);

// Reads and checks what a node is about to present: sound PEM, the key belongs to the certificate,
// the authority signed it, it is valid now, and it names this node. kIdentity names the file and
// the reason, with the date where one is at fault.
Expected<Credentials> LoadCredentials(const CredentialPaths& paths, const NodeId& node);

}  // namespace dashf::runtime
