// Checksums: SHA-256 (FIPS 180-4) of whole artefacts, CRC-32C (Castagnoli) of transfer chunks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dashf {

std::string Sha256Hex(std::string_view bytes);  // 64 lower-case hexadecimal digits.
std::uint32_t Crc32c(std::string_view bytes);

}  // namespace dashf
