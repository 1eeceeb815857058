// The tokenizer's side of the live tests: dashf_tokenize FOLDER, or FILE.gguf FOLDER, whose
// vocabulary alone is read: its tokenizer's files are written to the folder. A line "e HEX" on
// stdin gives the text's ids, "t HEX" the same without looking for special tokens, "d ID ID ..."
// the ids' text in hex; "c JSON" gives a conversation as the folder's template renders it in hex
// and, without its last message, the ids of the prompt that is to be continued.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>

#include "base/file.h"
#include "corpus/samples.h"
#include "corpus/tokenizer.h"
#include "gguf/model_folder.h"

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

// As a folder that has no config.json.
dashf::Expected<void> Unpack(const std::string& file, const std::filesystem::path& folder) {
  const auto model = dashf::gguf::ModelFolder::Open(file);
  if (!model) return tl::unexpected(model.error());
  const char* const tokenizer = model->Has("tokenizer.json") ? "tokenizer.json" : "tokenizer.model";
  for (const char* name : {tokenizer, "tokenizer_config.json"}) {
    const auto bytes = model->Read(name);
    if (!bytes) return tl::unexpected(bytes.error());
    auto written = dashf::WriteFileAtomically(folder / name, *bytes);
    if (!written) return written;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) return 2;
  const char* const folder = argv[argc - 1];
  if (argc == 3) {
    const auto unpacked = Unpack(argv[1], folder);
    if (!unpacked) {
      fmt::print(stderr, "{}\n", unpacked.error().Text());
      return 1;
    }
  }
  const auto tokenizer = corpus::Tokenizer::Load(folder);
  if (!tokenizer) {
    fmt::print(stderr, "{}\n", tokenizer.error().Text());
    return 1;
  }
  const auto chat = corpus::LoadChatTemplate(folder, *tokenizer);
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
