// The tokenizer's side of tokenizer_live_test.py: dashf_tokenize FOLDER. A line "e HEX" on stdin
// gives the text's ids, "t HEX" the same without looking for special tokens, "d ID ID ..." the ids'
// text in hex; "c JSON" gives a conversation as the folder's template renders it in hex and,
// without its last message, the ids of the prompt that is to be continued.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "corpus/samples.h"
#include "corpus/tokenizer.h"

namespace {

namespace corpus = dashf::corpus;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string Hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

std::string Chat(const std::string& json,
                 const corpus::ChatTemplate& chat,
                 const corpus::Tokenizer& tokenizer) {
  const auto samples = corpus::ParseSamples("stdin", json);
  if (!samples) return samples.error().Text();
  auto conversation = std::get<corpus::Conversation>(samples->front());
  const auto whole = chat.Render(conversation, /*prompt=*/false);
  if (!whole) return whole.error().Text();
  conversation.messages.pop_back();
  const auto ids = corpus::TokenizeChatPrompt(chat, conversation, tokenizer);
  return ids ? fmt::format("{} {}", Hex(whole->text), fmt::join(*ids, " ")) : ids.error().Text();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto tokenizer = corpus::Tokenizer::Load(argv[1]);
  if (!tokenizer) {
    fmt::print(stderr, "{}\n", tokenizer.error().Text());
    return 1;
  }
  const auto chat = corpus::LoadChatTemplate(argv[1], *tokenizer);
  for (std::string line; std::getline(std::cin, line);) {
    const std::string rest = line.size() > 2 ? line.substr(2) : "";
    if (line.starts_with('e')) {
      fmt::print("{}\n", fmt::join(tokenizer->Encode(FromHex(rest), false), " "));
      continue;
    }
    if (line.starts_with('t')) {
      fmt::print("{}\n", fmt::join(tokenizer->EncodeText(FromHex(rest)), " "));
      continue;
    }
    if (line.starts_with('c')) {
      fmt::print("{}\n", chat ? Chat(rest, *chat, *tokenizer) : chat.error().Text());
      continue;
    }
    std::vector<int> ids;
    std::istringstream numbers(rest);
    for (int id = 0; numbers >> id;) ids.push_back(id);
    fmt::print("{}\n", Hex(tokenizer->Decode(ids)));
  }
  return 0;
}
