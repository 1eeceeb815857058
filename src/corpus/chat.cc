#include "corpus/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "corpus/utf8.h"

namespace dashf::corpus {
namespace {

struct Family {
  std::string_view name;
  std::string_view bos;  // Empty: none.
  std::string_view end_of_turn;
  std::vector<std::string_view> special;  // All that the form places.
};

const Family& FamilyOf(ChatFamily family) {
  static const Family kLlama2{"llama2", "<s>", "</s>", {"<s>", "</s>"}};
  static const Family kLlama3{
      "llama3",
      "<|begin_of_text|>",
      "<|eot_id|>",
      {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}};
  static const Family kChatMl{"chatml", "", "<|im_end|>", {"<|im_start|>", "<|im_end|>"}};
  switch (family) {
    case ChatFamily::kLlama2:
      return kLlama2;
    case ChatFamily::kLlama3:
      return kLlama3;
    case ChatFamily::kChatMl:
      return kChatMl;
  }
  DASHF_CHECK(false);
}

// Python's str.isspace, which Jinja's trim goes by, of the character at the beginning of `text`.
bool IsSpace(std::string_view text) {
  constexpr std::array<std::string_view, 20> kWide = {
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
      "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
      "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", " "};
  const auto lead = static_cast<unsigned char>(text[0]);
  return (lead >= 0x09 && lead <= 0x0D) || (lead >= 0x1C && lead <= 0x1F) ||
         std::ranges::any_of(kWide,
                             [&](std::string_view space) { return text.starts_with(space); });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text)) text.remove_prefix(CharacterBytes(text));
  while (!text.empty()) {
    std::size_t last = text.size() - 1;  // The last character's first byte.
    while (last > 0 && text.size() - last < 4 && (text[last] & 0xC0) == 0x80) --last;
    if (!IsSpace(text.substr(last)) || CharacterBytes(text.substr(last)) != text.size() - last) {
      break;
    }
    text.remove_suffix(text.size() - last);
  }
  return text;
}

tl::unexpected<Error> Refuse(std::size_t message, std::string rule) {
  return Fail(ErrorKind::kBadInput, fmt::format("messages[{}]", message), std::move(rule));
}

void Text(std::string text, std::vector<ChatPart>* parts) {
  parts->push_back({.text = std::move(text)});
}
void Special(std::string_view token, std::vector<ChatPart>* parts) {
  parts->push_back({.text = std::string(token), .special = true});
}
void Answer(const Message& message,
            std::string text,
            const Family& family,
            std::vector<ChatPart>* parts) {
  parts->push_back({.text = std::move(text), .answer = message.trained});
  parts->push_back(
      {.text = std::string(family.end_of_turn), .special = true, .answer = message.trained});
}

// <|im_start|>role\ncontent<|im_end|>\n ...
std::vector<ChatPart> RenderChatMl(const ChatTemplate& chat,
                                   std::span<const Message> conversation,
                                   bool open) {
  std::vector<ChatPart> parts;
  const auto begin = [&](Role role, std::string_view content) {
    Special("<|im_start|>", &parts);
    Text(fmt::format("{}\n{}", Name(role), content), &parts);
  };
  const auto end = [&] {
    Special("<|im_end|>", &parts);
    Text("\n", &parts);
  };
  const bool has_system = !conversation.empty() && conversation.front().role == Role::kSystem;
  if (!has_system && !chat.default_system.empty()) {
    begin(Role::kSystem, chat.default_system);
    end();
  }
  for (const Message& message : conversation) {
    if (message.role == Role::kAssistant) {
      begin(message.role, "");
      Answer(message, message.content, FamilyOf(chat.family), &parts);
      Text("\n", &parts);
    } else {
      begin(message.role, message.content);
      end();
    }
  }
  if (open) begin(Role::kAssistant, "");
  return parts;
}

// <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> ...
std::vector<ChatPart> RenderLlama3(const ChatTemplate& chat,
                                   std::span<const Message> conversation,
                                   bool open) {
  std::vector<ChatPart> parts;
  const auto begin = [&](Role role, std::string_view content) {
    Special("<|start_header_id|>", &parts);
    Text(std::string(Name(role)), &parts);
    Special("<|end_header_id|>", &parts);
    Text(fmt::format("\n\n{}", content), &parts);
  };
  Special("<|begin_of_text|>", &parts);
  const bool has_system = !conversation.empty() && conversation.front().role == Role::kSystem;
  if (has_system || !chat.system_preamble.empty()) {
    const std::string_view system = has_system ? Trimmed(conversation.front().content) : "";
    begin(Role::kSystem, fmt::format("{}{}", chat.system_preamble, system));
    Special("<|eot_id|>", &parts);
  }
  for (const Message& message : conversation.subspan(has_system ? 1 : 0)) {
    const std::string_view content = Trimmed(message.content);
    if (message.role == Role::kAssistant) {
      begin(message.role, "");
      Answer(message, std::string(content), FamilyOf(chat.family), &parts);
    } else {
      begin(message.role, content);
      Special("<|eot_id|>", &parts);
    }
  }
  if (open) begin(Role::kAssistant, "");
  return parts;
}

// <s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] answer </s><s>[INST] ...
// The marks are text to the tokenizer, so a message must not hold them.
Expected<std::vector<ChatPart>> RenderLlama2(std::span<const Message> conversation) {
  constexpr std::string_view kMarks[] = {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"};
  std::vector<ChatPart> parts;
  const bool has_system = !conversation.empty() && conversation.front().role == Role::kSystem;
  for (std::size_t i = 0; i < conversation.size(); ++i) {
    const Role role = conversation[i].role;
    const std::string& content = conversation[i].content;
    for (const std::string_view mark : kMarks) {
      if (content.find(mark) != std::string::npos) {
        return Refuse(i, fmt::format("must not hold \"{}\", a mark of Llama 2's form", mark));
      }
    }
    if (i == 0 && has_system) continue;
    const bool users = (i % 2 == 0) != has_system;
    if ((role == Role::kUser) != users) {
      return Refuse(
          i,
          fmt::format("user and assistant must take turns from the user on, got {}", Name(role)));
    }
    if (role == Role::kAssistant) {
      Answer(conversation[i],
             fmt::format(" {} ", Trimmed(content)),
             FamilyOf(ChatFamily::kLlama2),
             &parts);
      continue;
    }
    std::string text = content;
    if (i == 1 && has_system) {
      text = fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n{}", conversation.front().content, content);
    }
    Special("<s>", &parts);
    Text(fmt::format("[INST] {} [/INST]", Trimmed(text)), &parts);
  }
  return parts;
}

// The ids of a part. A tokenizer that puts a space before every text has put Llama 2's there.
void AppendPart(const ChatPart& part, const Tokenizer& tokenizer, std::vector<int>* tokens) {
  if (part.special) {
    tokens->push_back(tokenizer.SpecialId(part.text));
    return;
  }
  const bool has_space = tokenizer.adds_space() && part.text.starts_with(' ');
  const std::string_view text = std::string_view(part.text).substr(has_space ? 1 : 0);
  const std::vector<int> ids = tokenizer.EncodeText(text);
  tokens->insert(tokens->end(), ids.begin(), ids.end());
}

}  // namespace

std::string_view Name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  DASHF_CHECK(false);
}

Expected<void> CheckChatTemplate(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const Family& family = FamilyOf(chat.family);
  for (const std::string_view token : family.special) {
    if (tokenizer.SpecialId(token) >= 0) continue;
    return Fail(
        ErrorKind::kBadInput,
        "chat template",
        fmt::format(
            "\"{}\" needs the special token {}, which the tokenizer has not", family.name, token));
  }
  return {};
}

Expected<std::vector<ChatPart>> Render(const ChatTemplate& chat,
                                       std::span<const Message> conversation,
                                       bool open) {
  for (std::size_t i = 1; i < conversation.size(); ++i) {
    if (conversation[i].role == Role::kSystem)
      return Refuse(i, "only the first may be the system's");
  }
  for (std::size_t i = 0; i < conversation.size(); ++i) {
    if (conversation[i].role == Role::kTool) return Refuse(i, "the form has no place for tools");
  }
  if (open && (conversation.empty() || conversation.back().role != Role::kUser)) {
    return Fail(ErrorKind::kBadInput, "messages", "must end with the user's to be continued");
  }
  switch (chat.family) {
    case ChatFamily::kLlama2:
      return RenderLlama2(conversation);
    case ChatFamily::kLlama3:
      return RenderLlama3(chat, conversation, open);
    case ChatFamily::kChatMl:
      return RenderChatMl(chat, conversation, open);
  }
  DASHF_CHECK(false);
}

Expected<Example> TokenizeChat(const ChatTemplate& chat,
                               std::span<const Message> conversation,
                               const Tokenizer& tokenizer,
                               int tokens_max) {
  const auto parts = Render(chat, conversation, /*open=*/false);
  if (!parts) return tl::unexpected(parts.error());
  Example example;
  bool in_answer = false;
  for (const ChatPart& part : *parts) {
    const auto begin = static_cast<int>(example.tokens.size());
    AppendPart(part, tokenizer, &example.tokens);
    const auto end = static_cast<int>(example.tokens.size());
    if (part.answer && in_answer) {
      example.answers.back().end = end;
    } else if (part.answer) {
      example.answers.push_back({begin, end});
    }
    in_answer = part.answer;
  }
  if (example.answers.empty()) {
    return Fail(
        ErrorKind::kBadInput, "messages", "must have one of the assistant's that is trained");
  }
  return Fitted(std::move(example), FamilyOf(chat.family).bos.empty() ? 0 : 1, tokens_max);
}

Expected<std::vector<int>> TokenizeChatPrompt(const ChatTemplate& chat,
                                              std::span<const Message> conversation,
                                              const Tokenizer& tokenizer) {
  const auto parts = Render(chat, conversation, /*open=*/true);
  if (!parts) return tl::unexpected(parts.error());
  std::vector<int> tokens;
  for (const ChatPart& part : *parts) AppendPart(part, tokenizer, &tokens);
  return tokens;
}

int EndOfTurn(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  return tokenizer.SpecialId(FamilyOf(chat.family).end_of_turn);
}

}  // namespace dashf::corpus
