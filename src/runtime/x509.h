// X.509 in PEM: reading several from one text, and what is asked of one.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/openssl.h"

namespace dashf::runtime::x509 {

// kIdentity with OpenSSL's reason.
tl::unexpected<Error> OpenSslFailed(const std::string& where);

std::string TextOf(BIO* bio);
openssl::Bio Memory(const std::string& text);  // `text` must stay.

// All certificates of a PEM text, at least one. kIdentity if one is broken or there is none.
Expected<std::vector<openssl::Certificate>> ParseCertificates(const std::string& where,
                                                              const std::string& pem);
Expected<openssl::Key> ParseKey(const std::string& where, const std::string& pem);

Expected<std::string> PemOf(X509* certificate);
Expected<std::string> PemOf(EVP_PKEY* key);

std::string CommonName(X509* certificate);
std::string DateOf(const ASN1_TIME* time);
std::chrono::system_clock::time_point TimeOf(const ASN1_TIME* time);
std::string Hexadecimal(const ASN1_INTEGER* serial);  // Capitals, no leading zeros.

}  // namespace dashf::runtime::x509
