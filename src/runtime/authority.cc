#include "runtime/authority.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/file.h"
#include "runtime/x509.h"

namespace dashf::runtime {
namespace {

using openssl::Bio;
using openssl::Certificate;
using openssl::Extension;
using openssl::Key;
using x509::OpenSslFailed;

using Time = std::unique_ptr<ASN1_TIME, openssl::Deleter<ASN1_TIME_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, openssl::Deleter<ASN1_INTEGER_free>>;

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate) {
  std::array<unsigned char, 8> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  std::uint64_t serial = 0;
  std::memcpy(&serial, bytes.data(), sizeof serial);
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1;
}

// All fields but the extensions and the signature.
Certificate Blank(const std::string& common_name, EVP_PKEY* key, const Validity& validity) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), 2) != 1) return nullptr;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto* name = reinterpret_cast<const unsigned char*>(common_name.c_str());
  const bool set =
      SetSerial(certificate.get()) &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1 &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), validity.from.count()) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), validity.until.count()) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1;
  return set ? std::move(certificate) : nullptr;
}

bool AddAuthoritysExtensions(X509* certificate, X509* issuer, const std::string& constraints) {
  return AddExtension(certificate, issuer, NID_basic_constraints, constraints) &&
         AddExtension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
}

// Nothing outlives who vouches for it.
Validity Within(const Validity& validity, X509* issuer) {
  const auto left = x509::TimeOf(X509_get0_notAfter(issuer)) - std::chrono::system_clock::now();
  Validity within = validity;
  within.until = std::min(validity.until, std::chrono::duration_cast<std::chrono::seconds>(left));
  return within;
}

bool Add(X509_CRL* list, const Revocation& revocation) {
  BIGNUM* number = nullptr;
  const bool read = BN_hex2bn(&number, revocation.serial.c_str()) > 0;
  const std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>> owner(number);
  const Integer serial(read ? BN_to_ASN1_INTEGER(number, nullptr) : nullptr);
  const Time at(ASN1_TIME_set(nullptr, std::chrono::system_clock::to_time_t(revocation.at)));
  std::unique_ptr<X509_REVOKED, openssl::Deleter<X509_REVOKED_free>> entry(X509_REVOKED_new());
  if (!serial || !at || !entry || X509_REVOKED_set_serialNumber(entry.get(), serial.get()) != 1 ||
      X509_REVOKED_set_revocationDate(entry.get(), at.get()) != 1 ||
      X509_CRL_add0_revoked(list, entry.get()) != 1) {
    return false;
  }
  return entry.release() != nullptr;  // The list's.
}

}  // namespace

struct CertificateAuthority::State {
  Key key;
  Certificate certificate;
  std::string pem;    // Its own.
  std::string chain;  // From its own up to, and without, the first; empty for the first.
  std::string root;   // The first's.
};

Expected<CertificateAuthority> CertificateAuthority::Create(const Validity& validity,
                                                            const std::string& name) {
  auto state = std::make_shared<State>();
  state->key.reset(EVP_EC_gen("P-256"));
  if (!state->key) return OpenSslFailed("certificate authority");
  state->certificate = Blank(name, state->key.get(), validity);
  X509* certificate = state->certificate.get();
  const bool made = certificate != nullptr &&
                    X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
                    AddAuthoritysExtensions(certificate, certificate, "critical,CA:TRUE") &&
                    X509_sign(certificate, state->key.get(), EVP_sha256()) > 0;
  if (!made) return OpenSslFailed("certificate authority");
  auto pem = x509::PemOf(certificate);
  if (!pem) return tl::unexpected(pem.error());
  state->pem = *pem;
  state->root = std::move(*pem);
  return CertificateAuthority(std::move(state));
}

Expected<CertificateAuthority> CertificateAuthority::Load(const std::string& certificate_path,
                                                          const std::string& key_path) {
  auto pem = ReadFile(certificate_path, 1 << 20);
  if (!pem) return tl::unexpected(pem.error());
  auto certificates = x509::ParseCertificates(certificate_path, *pem);
  if (!certificates) return tl::unexpected(certificates.error());
  const auto key_pem = ReadFile(key_path, 1 << 20);
  if (!key_pem) return tl::unexpected(key_pem.error());
  auto key = x509::ParseKey(key_path, *key_pem);
  if (!key) return tl::unexpected(key.error());
  X509* own = certificates->front().get();
  if (X509_check_private_key(own, key->get()) != 1) {
    ERR_clear_error();
    return Fail(ErrorKind::kIdentity, key_path, "is not the key of " + certificate_path);
  }
  if (X509_check_ca(own) == 0) {
    return Fail(ErrorKind::kIdentity, certificate_path, "is not an authority's certificate");
  }
  if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) {
    return Fail(ErrorKind::kIdentity,
                certificate_path,
                "the authority expired on " + x509::DateOf(X509_get0_notAfter(own)));
  }
  auto state = std::make_shared<State>();
  state->key = std::move(*key);
  state->certificate = std::move(certificates->front());
  state->pem = *pem;
  state->root = std::move(*pem);
  return CertificateAuthority(std::move(state));
}

Expected<Credentials> CertificateAuthority::Issue(const NodeId& node,
                                                  const Validity& validity,
                                                  const std::string& key_pem) const {
  const std::string name = Name(node);
  Key key;
  if (key_pem.empty()) {
    key.reset(EVP_EC_gen("P-256"));
  } else if (auto read = x509::ParseKey(name, key_pem)) {
    key = std::move(*read);
  } else {
    return tl::unexpected(read.error());
  }
  if (!key) return OpenSslFailed(name);
  X509* issuer = state_->certificate.get();
  const Certificate certificate = Blank(name, key.get(), Within(validity, issuer));
  const bool made =
      certificate != nullptr &&
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) == 1 &&
      AddExtension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE") &&
      AddExtension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature") &&
      AddExtension(certificate.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
      AddExtension(certificate.get(), issuer, NID_subject_alt_name, "DNS:" + HostName(node)) &&
      AddExtension(certificate.get(), issuer, NID_authority_key_identifier, "keyid:always") &&
      X509_sign(certificate.get(), state_->key.get(), EVP_sha256()) > 0;
  if (!made) return OpenSslFailed(name);
  auto pem = x509::PemOf(certificate.get());
  if (!pem) return tl::unexpected(pem.error());
  auto key_text = x509::PemOf(key.get());
  if (!key_text) return tl::unexpected(key_text.error());
  return Credentials{state_->root, *pem + state_->chain, std::move(*key_text)};
}

Expected<CertificateAuthority> CertificateAuthority::IssueAuthority(
    const std::string& name, const Validity& validity) const {
  auto state = std::make_shared<State>();
  state->key.reset(EVP_EC_gen("P-256"));
  if (!state->key) return OpenSslFailed(name);
  X509* issuer = state_->certificate.get();
  state->certificate = Blank(name, state->key.get(), Within(validity, issuer));
  X509* certificate = state->certificate.get();
  const bool made =
      certificate != nullptr &&
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
      AddAuthoritysExtensions(certificate, issuer, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
      X509_sign(certificate, state_->key.get(), EVP_sha256()) > 0;
  if (!made) return OpenSslFailed(name);
  auto pem = x509::PemOf(certificate);
  if (!pem) return tl::unexpected(pem.error());
  state->pem = *pem;
  state->chain = *pem + state_->chain;
  state->root = state_->root;
  return CertificateAuthority(std::move(state));
}

Expected<std::string> CertificateAuthority::ListOf(const std::vector<Revocation>& revoked) const {
  const openssl::RevocationList list(X509_CRL_new());
  const Time now(X509_gmtime_adj(nullptr, -300));
  X509* issuer = state_->certificate.get();
  bool made = list && now && X509_CRL_set_version(list.get(), 1) == 1 &&
              X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer)) == 1 &&
              X509_CRL_set1_lastUpdate(list.get(), now.get()) == 1 &&
              X509_CRL_set1_nextUpdate(list.get(), X509_get0_notAfter(issuer)) == 1;
  for (const Revocation& one : revoked) made = made && Add(list.get(), one);
  made = made && X509_CRL_sort(list.get()) == 1 &&
         X509_CRL_sign(list.get(), state_->key.get(), EVP_sha256()) > 0;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!made || PEM_write_bio_X509_CRL(bio.get(), list.get()) != 1) {
    return OpenSslFailed("revocation list");
  }
  return x509::TextOf(bio.get());
}

const std::string& CertificateAuthority::pem() const {
  return state_->root;
}

Expected<std::string> CertificateAuthority::KeyPem() const {
  return x509::PemOf(state_->key.get());
}

Expected<std::string> SerialOf(const std::string& where, const std::string& certificate_pem) {
  const auto certificates = x509::ParseCertificates(where, certificate_pem);
  if (!certificates) return tl::unexpected(certificates.error());
  return x509::Hexadecimal(X509_get0_serialNumber(certificates->front().get()));
}

}  // namespace dashf::runtime
