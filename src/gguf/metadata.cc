#include "gguf/metadata.h"

#include <fmt/format.h>

namespace dashf::gguf {

std::int64_t MetadataReader::Integer(const std::string& key, std::int64_t low, std::int64_t high) {
  const auto value = Get<std::int64_t>(key, "an integer");
  if (value < low || value > high) {
    Refuse(key, fmt::format("must be in [{}, {}], got {}", low, high, value));
    return low;
  }
  return value;
}

double MetadataReader::Number(const std::string& key) {
  return Get<double>(key, "a number");
}

bool MetadataReader::Flag(const std::string& key) {
  return Has(key) && Get<bool>(key, "true or false");
}

}  // namespace dashf::gguf
