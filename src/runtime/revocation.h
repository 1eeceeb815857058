// Which certificates are no longer to be believed, as the fleet's authority says in a signed list
// (X.509 CRL). The coordinator asks: users are sent to no server, and servers admit no user, but as
// it says.
#pragma once

#include <ctime>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/openssl.h"

namespace dashf::runtime {

// Read anew whenever its file has changed. Thread-safe.
class RevokedCertificates {
 public:
  using Notice = std::function<void(const std::string&)>;

  // An empty path revokes nobody. kIdentity if the list is unreadable or none of the authorities
  // signed it.
  static Expected<RevokedCertificates> Open(const std::string& path,
                                            const std::string& ca_pem,
                                            Notice notice);
  RevokedCertificates(RevokedCertificates&& other) noexcept;
  RevokedCertificates& operator=(RevokedCertificates&&) = delete;

  // Whether the list names this certificate (PEM). A list that became unreadable is told to
  // `notice` once, and the last sound one holds.
  bool Revoked(const std::string& certificate_pem);
  // Whether the file is another one than when this was asked before.
  bool HasChanged();

 private:
  struct Seen {
    std::filesystem::file_time_type at;
    std::uintmax_t bytes = 0;
    bool operator==(const Seen&) const = default;
  };
  RevokedCertificates(std::string path, std::string ca_pem, Notice notice)
      : path_(std::move(path)), ca_pem_(std::move(ca_pem)), notice_(std::move(notice)) {}
  Seen Look() const;
  Expected<void> Read();

  std::string path_, ca_pem_;
  Notice notice_;
  std::mutex mutex_;  // Guards the rest.
  Seen seen_, told_;
  std::vector<openssl::RevocationList> lists_;  // One of each authority that has any.
};

}  // namespace dashf::runtime
