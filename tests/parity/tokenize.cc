// The tokenizer's side of tokenizer_live_test.py: dashf_tokenize FOLDER. A line "e HEX" on stdin
// gives the text's ids, a line "d ID ID ..." the ids' text in hex.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "corpus/tokenizer.h"

namespace {

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto tokenizer = dashf::corpus::Tokenizer::Load(argv[1]);
  if (!tokenizer) {
    fmt::print(stderr, "{}\n", tokenizer.error().Text());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const std::string rest = line.size() > 2 ? line.substr(2) : "";
    if (line.starts_with('e')) {
      fmt::print("{}\n", fmt::join(tokenizer->Encode(FromHex(rest), false), " "));
      continue;
    }
    std::vector<int> ids;
    std::istringstream numbers(rest);
    for (int id = 0; numbers >> id;) ids.push_back(id);
    std::string hex;
    for (const char c : tokenizer->Decode(ids)) {
      hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    fmt::print("{}\n", hex);
  }
  return 0;
}
