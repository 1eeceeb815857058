#include "gguf/blocks.h"

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dashf::gguf {
namespace {

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// Blocks of drawn bits (testdata/record_blocks.py), with the float32 numbers that the Python
// package gguf makes of them.
TEST(Blocks, OfDrawnBitsAreTheNumbersThatAnotherImplementationMakes) {
  const auto recorded = nlohmann::json::parse(
      std::ifstream(std::string(DASHF_SOURCE_DIR) + "/src/gguf/testdata/blocks.json"));
  EXPECT_EQ(recorded.size(), 11U);
  for (const auto& [number, type] : recorded.items()) {
    const auto block = FindBlock(static_cast<std::uint32_t>(std::stoi(number)));
    ASSERT_TRUE(block) << number;
    const std::string bytes = FromHex(type["bytes"]), expected = FromHex(type["float32"]);
    std::vector<float> values(expected.size() / sizeof(float));
    ASSERT_EQ(values.size() * static_cast<std::size_t>(block->bytes),
              bytes.size() * static_cast<std::size_t>(block->elements));
    Decode(block->type, bytes, values);
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), expected.size()), 0) << block->name;
  }
}

TEST(Blocks, AreReadFromUnalignedBytes) {
  std::string bytes(1 + 34, '\0');
  bytes[2] = 0x3C;  // A scale of 1.
  bytes[3] = -5;
  std::vector<float> values(32);
  Decode(TensorType::kQ8_0, std::string_view(bytes).substr(1), values);
  EXPECT_EQ(values[0], -5.0F);
}

}  // namespace
}  // namespace dashf::gguf
