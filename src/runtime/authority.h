// Who issues certificates. A run's authority is made for it and forgotten when its certificates are
// written: its key exists in memory only. A fleet's is kept, and also says which are revoked.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/identity.h"
#include "runtime/node.h"

namespace dashf::runtime {

struct Validity {
  std::chrono::seconds from{-300};  // Relative to now; clocks differ a little.
  std::chrono::seconds until{std::chrono::hours(24 * 30)};
};

struct Revocation {
  std::string serial;  // Hexadecimal.
  std::chrono::system_clock::time_point at;
};

// Immutable: safe from any thread. All fail with kIdentity.
class CertificateAuthority {
 public:
  static Expected<CertificateAuthority> Create(const Validity& validity = {},
                                               const std::string& name = "dashf run authority");
  // One that was kept: its certificate and key, as files that errors name.
  static Expected<CertificateAuthority> Load(const std::string& certificate_path,
                                             const std::string& key_path);

  // The node's certificate, no longer valid than the authority's own, for a fresh P-256 key or for
  // `key_pem`.
  Expected<Credentials> Issue(const NodeId& node,
                              const Validity& validity = {},
                              const std::string& key_pem = "") const;
  // A certificate for an authority that stands between this one and its nodes.
  Expected<CertificateAuthority> IssueAuthority(const std::string& name,
                                                const Validity& validity = {}) const;
  // A signed list (X.509 CRL, PEM) of what is no longer to be believed.
  Expected<std::string> ListOf(const std::vector<Revocation>& revoked) const;

  // Where Issue's chain ends: what peers must trust.
  const std::string& pem() const;
  Expected<std::string> KeyPem() const;

 private:
  struct State;
  explicit CertificateAuthority(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// Of the first certificate in a PEM text that was issued by us; hexadecimal.
Expected<std::string> SerialOf(const std::string& where, const std::string& certificate_pem);

}  // namespace dashf::runtime
