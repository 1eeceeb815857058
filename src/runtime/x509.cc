#include "runtime/x509.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>

namespace dashf::runtime::x509 {

using openssl::Bio;
using openssl::Certificate;
using openssl::Key;

tl::unexpected<Error> OpenSslFailed(const std::string& where) {
  return Fail(ErrorKind::kIdentity, where, openssl::Reason("OpenSSL gives no reason"));
}

std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

Bio Memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Expected<std::vector<Certificate>> ParseCertificates(const std::string& where,
                                                     const std::string& pem) {
  ERR_clear_error();
  const Bio bio = Memory(pem);
  std::vector<Certificate> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty()) return Fail(ErrorKind::kIdentity, where, "is not a PEM certificate");
  if (!at_end) {
    return Fail(ErrorKind::kIdentity,
                where,
                fmt::format("certificate {} in it is broken", certificates.size() + 1));
  }
  return certificates;
}

Expected<Key> ParseKey(const std::string& where, const std::string& pem) {
  Key key(PEM_read_bio_PrivateKey(Memory(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key) return Fail(ErrorKind::kIdentity, where, "is not a PEM private key");
  return key;
}

Expected<std::string> PemOf(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return OpenSslFailed("certificate");
  return TextOf(bio.get());
}

Expected<std::string> PemOf(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslFailed("private key");
  }
  return TextOf(bio.get());
}

std::string CommonName(X509* certificate) {
  std::array<char, 256> text{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                             NID_commonName,
                                             text.data(),
                                             static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

std::string DateOf(const ASN1_TIME* time) {
  const Bio bio(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(bio.get(), time);
  return TextOf(bio.get());
}

std::chrono::system_clock::time_point TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string Hexadecimal(const ASN1_INTEGER* serial) {
  const std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>> number(
      ASN1_INTEGER_to_BN(serial, nullptr));
  char* text = BN_bn2hex(number.get());
  std::string result = text == nullptr ? "" : text;
  OPENSSL_free(text);
  return result;
}

}  // namespace dashf::runtime::x509
