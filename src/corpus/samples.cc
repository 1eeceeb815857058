#include "corpus/samples.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/file.h"
#include "corpus/json_records.h"

namespace dashf::corpus {
namespace {

std::optional<Role> RoleNamed(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user" || name == "human") return Role::kUser;
  if (name == "assistant" || name == "gpt") return Role::kAssistant;
  return std::nullopt;
}

Conversation ReadMessages(JsonReader& object) {
  const bool shared = !object.Has("messages");  // As ShareGPT's users export them.
  Conversation conversation;
  object.ForEach(shared ? "conversations" : "messages", [&](JsonReader message) {
    const std::string name = message.String(shared ? "from" : "role");
    const std::optional<Role> role = RoleNamed(name);
    if (!role) {
      message.Reject(shared ? "from" : "role", "must be system, user or assistant");
    }
    conversation.messages.push_back(
        {role.value_or(Role::kUser), message.String(shared ? "value" : "content")});
  });
  return conversation;
}

Conversation ReadConversation(JsonReader object) {
  Conversation conversation = ReadMessages(object);
  const bool answered = std::ranges::any_of(conversation.messages, [](const Message& message) {
    return message.role == Role::kAssistant;
  });
  if (!answered && !object.failed())
    object.Reject("must have one message of the assistant's at least");
  return conversation;
}

Document ReadDocument(JsonReader object) {
  Document document{object.String("text")};
  if (document.text.empty() && !object.failed()) object.Reject("text", "must not be empty");
  return document;
}

DataFormat FormatOf(const JsonReader& object) {
  if (object.Has("messages") || object.Has("conversations")) return DataFormat::kChat;
  return object.Has("text") && !object.Has("instruction") ? DataFormat::kDocuments
                                                          : DataFormat::kAlpaca;
}

std::vector<Sample> PlainText(std::string_view text) {
  std::vector<Sample> samples;
  for (const std::string_view document : DocumentsOf(text)) {
    samples.push_back(Document{std::string(document)});
  }
  return samples;
}

void AppendWindows(const Document& document,
                   const Tokenizer& tokenizer,
                   int tokens_max,
                   std::vector<Example>* examples) {
  const std::vector<int> tokens = TokenizeDocument(document.text, tokenizer);
  const auto step = static_cast<std::size_t>(tokens_max) - 1;
  for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += step) {
    const std::size_t end = std::min(tokens.size(), begin + step + 1);
    examples->emplace_back(std::vector<int>(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                                            tokens.begin() + static_cast<std::ptrdiff_t>(end)),
                           1);
  }
}

}  // namespace

std::optional<DataFormat> DataFormatNamed(std::string_view name) {
  if (name == "alpaca") return DataFormat::kAlpaca;
  if (name == "chat") return DataFormat::kChat;
  if (name == "documents") return DataFormat::kDocuments;
  if (name == "text") return DataFormat::kText;
  return std::nullopt;
}

Expected<std::vector<Sample>> ParseSamples(const std::string& name,
                                           std::string_view bytes,
                                           std::optional<DataFormat> format) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Fail(ErrorKind::kBadInput, name, "holds no record");
  const bool json = bytes[first] == '[' || bytes[first] == '{';
  if (!format && !json) format = DataFormat::kText;
  std::vector<Sample> samples;
  if (format == DataFormat::kText) {
    samples = PlainText(bytes);
    if (samples.empty()) return Fail(ErrorKind::kBadInput, name, "holds no document");
    return samples;
  }
  auto read = ForEachJsonRecord(name, bytes, [&](JsonReader object) {
    if (!format) format = FormatOf(object);
    if (format == DataFormat::kChat) {
      samples.emplace_back(ReadConversation(object));
    } else if (format == DataFormat::kDocuments) {
      samples.emplace_back(ReadDocument(object));
    } else {
      samples.emplace_back(ReadRecord(object));
    }
  });
  if (!read) return tl::unexpected(read.error());
  return samples;
}

Expected<std::vector<Sample>> ReadSamples(const std::string& path,
                                          std::optional<DataFormat> format) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseSamples(path, *bytes, format);
}

Expected<Conversation> ReadPrompt(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  std::vector<Conversation> conversations;
  auto read = ForEachJsonRecord(path, *bytes, [&](JsonReader object) {
    if (!conversations.empty()) object.Reject("there must be one conversation");
    conversations.push_back(ReadMessages(object));
  });
  if (!read) return tl::unexpected(read.error());
  return conversations.front();
}

std::string WriteSamples(std::span<const Sample> samples) {
  std::string lines;
  for (const Sample& sample : samples) {
    if (const auto* record = std::get_if<Record>(&sample)) {
      lines += WriteRecords({record, 1});
      continue;
    }
    nlohmann::ordered_json object;
    if (const auto* conversation = std::get_if<Conversation>(&sample)) {
      for (const Message& message : conversation->messages) {
        object["messages"].push_back({{"role", Name(message.role)}, {"content", message.content}});
      }
    } else {
      object["text"] = std::get<Document>(sample).text;
    }
    lines += object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    lines += '\n';
  }
  return lines;
}

Expected<std::vector<Example>> TokenizeSamples(std::span<const Sample> samples,
                                               const Tokenizer& tokenizer,
                                               const Expected<ChatTemplate>& chat,
                                               int tokens_max) {
  DASHF_CHECK(tokens_max >= 3);
  std::vector<Example> examples;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (const auto* record = std::get_if<Record>(&samples[i])) {
      examples.push_back(TokenizeRecord(*record, tokenizer, tokens_max));
    } else if (const auto* document = std::get_if<Document>(&samples[i])) {
      AppendWindows(*document, tokenizer, tokens_max, &examples);
    } else {
      const std::string where = fmt::format("conversation {}", i + 1);
      if (!chat) return tl::unexpected(chat.error());
      auto example =
          TokenizeChat(*chat, std::get<Conversation>(samples[i]).messages, tokenizer, tokens_max);
      if (!example) return Fail(ErrorKind::kBadInput, where, example.error().Text());
      examples.push_back(std::move(*example));
    }
  }
  return examples;
}

}  // namespace dashf::corpus
