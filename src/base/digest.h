// Checksums: SHA-256 (FIPS 180-4) of whole artefacts, CRC-32C (Castagnoli) of transfer chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX.

namespace dashf {

// The digest of bytes that come in parts.
class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  std::string Hex();  // 64 lower-case hexadecimal digits; nothing may be added afterwards.

 private:
  std::shared_ptr<evp_md_ctx_st> context_;
};

std::string Sha256Hex(std::string_view bytes);
std::uint32_t Crc32c(std::string_view bytes);

}  // namespace dashf
