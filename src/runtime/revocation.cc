#include "runtime/revocation.h"

#include <openssl/pem.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "runtime/x509.h"

namespace dashf::runtime {

Expected<RevokedCertificates> RevokedCertificates::Open(const std::string& path,
                                                        const std::string& ca_pem,
                                                        Notice notice) {
  RevokedCertificates revoked(path, ca_pem, std::move(notice));
  if (path.empty()) return revoked;
  revoked.seen_ = revoked.told_ = revoked.Look();
  if (auto read = revoked.Read(); !read) return tl::unexpected(read.error());
  return revoked;
}

RevokedCertificates::RevokedCertificates(RevokedCertificates&& other) noexcept
    : path_(std::move(other.path_)),
      ca_pem_(std::move(other.ca_pem_)),
      notice_(std::move(other.notice_)),
      seen_(other.seen_),
      told_(other.told_),
      lists_(std::move(other.lists_)) {}

RevokedCertificates::Seen RevokedCertificates::Look() const {
  std::error_code ignored;  // What is not there differs from what was.
  return {std::filesystem::last_write_time(path_, ignored),
          std::filesystem::file_size(path_, ignored)};
}

Expected<void> RevokedCertificates::Read() {
  const auto pem = ReadFile(path_, std::uint64_t{64} << 20);
  if (!pem) return Fail(ErrorKind::kIdentity, pem.error().where, pem.error().message);
  const auto authorities = x509::ParseCertificates("authorities", ca_pem_);
  if (!authorities) return tl::unexpected(authorities.error());
  const openssl::Bio bio = x509::Memory(*pem);
  std::vector<openssl::RevocationList> lists;
  while (X509_CRL* next = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) {
    lists.emplace_back(next);
    const bool ours =
        std::any_of(authorities->begin(), authorities->end(), [&](const auto& authority) {
          return X509_CRL_verify(next, X509_get0_pubkey(authority.get())) == 1;
        });
    if (!ours) {
      ERR_clear_error();
      return Fail(ErrorKind::kIdentity, path_, "was not signed by an authority of this fleet");
    }
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (lists.empty() || !at_end) {
    return Fail(ErrorKind::kIdentity, path_, "is not a PEM revocation list");
  }
  lists_ = std::move(lists);
  return {};
}

bool RevokedCertificates::HasChanged() {
  if (path_.empty()) return false;
  const std::lock_guard lock(mutex_);
  const Seen now = Look();
  return std::exchange(told_, now) != now;
}

bool RevokedCertificates::Revoked(const std::string& certificate_pem) {
  if (path_.empty()) return false;
  const auto certificates = x509::ParseCertificates("", certificate_pem);
  if (!certificates) return true;  // Nobody that can be told from the revoked.
  std::string failure;
  bool found = false;
  {
    const std::lock_guard lock(mutex_);
    if (const Seen now = Look(); now != seen_) {
      seen_ = now;
      if (const auto read = Read(); !read) failure = read.error().Text();
    }
    X509* own = certificates->front().get();
    for (const openssl::RevocationList& list : lists_) {
      X509_REVOKED* entry = nullptr;
      found = found ||
              (X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(own)) == 0 &&
               X509_CRL_get0_by_cert(list.get(), &entry, own) == 1);
    }
  }
  if (!failure.empty()) notice_(failure + "; the last sound list holds");
  return found;
}

}  // namespace dashf::runtime
