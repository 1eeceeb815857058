#include "runtime/identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "runtime/openssl.h"

namespace dashf::runtime {
namespace {

using openssl::Bio;
using openssl::Certificate;
using openssl::Extension;
using openssl::Key;
using openssl::Store;
using openssl::StoreContext;

tl::unexpected<Error> OpenSslFailed(const std::string& where) {
  return Fail(ErrorKind::kIdentity, where, openssl::Reason("OpenSSL gives no reason"));
}

std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

std::string DateOf(const ASN1_TIME* time) {
  const Bio bio(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(bio.get(), time);
  return TextOf(bio.get());
}

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

Expected<std::string> PemOf(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return OpenSslFailed("certificate");
  return TextOf(bio.get());
}

Expected<Certificate> ParseCertificate(const std::string& where, const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return Fail(ErrorKind::kIdentity, where, "is not a PEM certificate");
  return certificate;
}

std::string CommonName(X509* certificate) {
  std::array<char, 256> text{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                             NID_commonName,
                                             text.data(),
                                             static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

Expected<void> CheckDates(const std::string& where, const X509* certificate) {
  const ASN1_TIME* until = X509_get0_notAfter(certificate);
  const ASN1_TIME* from = X509_get0_notBefore(certificate);
  if (X509_cmp_current_time(until) < 0) {
    return Fail(ErrorKind::kIdentity, where, "the certificate expired on " + DateOf(until));
  }
  if (X509_cmp_current_time(from) > 0) {
    return Fail(ErrorKind::kIdentity, where, "the certificate is not valid before " + DateOf(from));
  }
  return {};
}

Expected<void> CheckSigned(const CredentialPaths& paths, X509* certificate, X509* authority) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_add_cert(store.get(), authority) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) != 1) {
    return OpenSslFailed(paths.certificate);
  }
  if (X509_verify_cert(context.get()) == 1) return {};
  const char* reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  return Fail(ErrorKind::kIdentity,
              paths.certificate,
              fmt::format("was not issued by {}: {}", paths.ca, reason));
}

// Written once, readable by its owner alone from the first byte on.
Expected<void> WriteSecret(const std::filesystem::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int reason = errno;
  const bool closed = file < 0 || ::close(file) == 0;
  if (written && closed) return {};
  return Fail(ErrorKind::kIo, path.string(), fmt::format("not written: {}", std::strerror(reason)));
}

}  // namespace

struct CertificateAuthority::State {
  Key key;
  Certificate certificate;
  std::string pem;
};

Expected<CertificateAuthority> CertificateAuthority::Create(const Validity& validity) {
  auto state = std::make_shared<State>();
  state->key.reset(EVP_EC_gen("P-256"));
  if (!state->key) return OpenSslFailed("certificate authority");
  state->certificate = Blank("dashf run authority", state->key.get(), validity);
  X509* certificate = state->certificate.get();
  const bool made =
      certificate != nullptr &&
      X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
      AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign") &&
      AddExtension(certificate, certificate, NID_subject_key_identifier, "hash") &&
      X509_sign(certificate, state->key.get(), EVP_sha256()) > 0;
  if (!made) return OpenSslFailed("certificate authority");
  auto pem = PemOf(certificate);
  if (!pem) return tl::unexpected(pem.error());
  state->pem = std::move(*pem);
  return CertificateAuthority(std::move(state));
}

Expected<Credentials> CertificateAuthority::Issue(const NodeId& node,
                                                  const Validity& validity) const {
  const std::string name = Name(node);
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return OpenSslFailed(name);
  const Certificate certificate = Blank(name, key.get(), validity);
  X509* issuer = state_->certificate.get();
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
  auto pem = PemOf(certificate.get());
  if (!pem) return tl::unexpected(pem.error());
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslFailed(name);
  }
  return Credentials{state_->pem, std::move(*pem), TextOf(bio.get())};
}

CredentialPaths PathsIn(const std::filesystem::path& folder, const NodeId& node) {
  std::string stem = Name(node);
  if (const auto slash = stem.find('/'); slash != std::string::npos) stem[slash] = '-';
  return {folder / "ca.pem", folder / (stem + ".pem"), folder / (stem + ".key")};
}

Expected<void> WriteCredentials(const std::filesystem::path& folder,
                                const NodeId& node,
                                const Credentials& credentials) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  }
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  const CredentialPaths paths = PathsIn(folder, node);
  if (auto done = WriteFileAtomically(paths.ca, credentials.ca_pem); !done) return done;
  if (auto done = WriteFileAtomically(paths.certificate, credentials.certificate_pem); !done) {
    return done;
  }
  return WriteSecret(paths.key, credentials.key_pem);
}

Expected<Credentials> LoadCredentials(const CredentialPaths& paths, const NodeId& node) {
  Credentials credentials;
  const std::pair<const std::string*, std::string*> files[] = {
      {&paths.ca, &credentials.ca_pem},
      {&paths.certificate, &credentials.certificate_pem},
      {&paths.key, &credentials.key_pem}};
  for (const auto& [path, text] : files) {
    auto bytes = ReadFile(*path, 1 << 20);
    if (!bytes) return Fail(ErrorKind::kIdentity, bytes.error().where, bytes.error().message);
    *text = std::move(*bytes);
  }
  auto authority = ParseCertificate(paths.ca, credentials.ca_pem);
  if (!authority) return tl::unexpected(authority.error());
  auto certificate = ParseCertificate(paths.certificate, credentials.certificate_pem);
  if (!certificate) return tl::unexpected(certificate.error());
  if (auto dates = CheckDates(paths.ca, authority->get()); !dates) {
    return tl::unexpected(dates.error());
  }
  if (auto dates = CheckDates(paths.certificate, certificate->get()); !dates) {
    return tl::unexpected(dates.error());
  }
  if (auto signed_by = CheckSigned(paths, certificate->get(), authority->get()); !signed_by) {
    return tl::unexpected(signed_by.error());
  }
  const std::string name = CommonName(certificate->get());
  if (name != Name(node)) {
    return Fail(ErrorKind::kIdentity,
                paths.certificate,
                fmt::format("names '{}', but this node is '{}'", name, Name(node)));
  }
  const Bio bio(
      BIO_new_mem_buf(credentials.key_pem.data(), static_cast<int>(credentials.key_pem.size())));
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key || X509_check_private_key(certificate->get(), key.get()) != 1) {
    return Fail(ErrorKind::kIdentity, paths.key, "is not the key of " + paths.certificate);
  }
  return credentials;
}

}  // namespace dashf::runtime
