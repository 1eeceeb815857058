// Which form a model folder's conversations have (chat.h).
#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "corpus/chat.h"

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kConfigBytesMax = std::uint64_t{1} << 26;

bool Holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What stands in the template between two marks, if it is plain text: a literal of the template has
// its line ends as \n and is over at a quote. Empty: none.
std::string Literal(std::string_view jinja, std::string_view before, std::string_view after) {
  for (std::size_t at = 0; (at = jinja.find(before, at)) != std::string_view::npos;) {
    at += before.size();
    const std::string_view text = jinja.substr(at, jinja.find(after, at) - at);
    if (!text.empty() && text.find_first_of("'\"{}\\") == std::string_view::npos) {
      return std::string(text);
    }
  }
  return {};
}

// A Jinja literal spells a line end as backslash and n, or has it.
std::string DefaultSystem(std::string_view jinja) {
  const std::string spelled = Literal(jinja, R"(<|im_start|>system\n)", "<|im_end|>");
  return spelled.empty() ? Literal(jinja, "<|im_start|>system\n", "<|im_end|>") : spelled;
}

// The template that tokenizer_config.json holds; empty: none.
Expected<std::string> TemplateOfConfig(const std::string& path) {
  const auto document = JsonDocument::ReadFile(path, kConfigBytesMax);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  std::string jinja;
  if (root.HasValue("chat_template")) {
    if (root.raw()["chat_template"].is_array()) {
      root.ForEach("chat_template", [&jinja](JsonReader named) {
        std::string text = named.String("template");
        if (named.String("name") == "default") jinja = std::move(text);
      });
    } else {
      jinja = root.String("chat_template");
    }
  }
  if (document->error()) return tl::unexpected(*document->error());
  return jinja;
}

Expected<ChatTemplate> FromSpecialTokens(const std::string& model_dir, const Tokenizer& tokenizer) {
  for (const ChatFamily family : {ChatFamily::kLlama3, ChatFamily::kChatMl}) {
    ChatTemplate chat{.family = family, .default_system = {}, .system_preamble = {}};
    if (CheckChatTemplate(chat, tokenizer)) return chat;
  }
  return Fail(ErrorKind::kBadInput,
              model_dir,
              "has no chat template (in chat_template.jinja or tokenizer_config.json), and its "
              "special tokens tell none; name one: llama2, llama3 or chatml");
}

}  // namespace

std::optional<ChatTemplate> ChatTemplateNamed(std::string_view name) {
  ChatTemplate chat;
  if (name == "llama2") {
    chat.family = ChatFamily::kLlama2;
  } else if (name == "llama3") {
    chat.family = ChatFamily::kLlama3;
  } else if (name != "chatml") {
    return std::nullopt;
  }
  return chat;
}

Expected<ChatTemplate> ParseChatTemplate(const std::string& name, std::string_view jinja) {
  ChatTemplate chat;
  if (Holds(jinja, "<think>")) {  // Such templates take the reasoning out of earlier turns.
    return Fail(ErrorKind::kBadInput, name, "chat templates with <think> are not supported");
  }
  if (Holds(jinja, "<|start_header_id|>") && Holds(jinja, "<|eot_id|>")) {
    chat.family = ChatFamily::kLlama3;
    if (const std::string cutoff = Literal(jinja, "Cutting Knowledge Date: ", R"(\n)");
        !cutoff.empty()) {
      chat.system_preamble = fmt::format("Cutting Knowledge Date: {}\nToday Date: {}\n\n",
                                         cutoff,
                                         Literal(jinja, R"(date_string = ")", R"(")"));
    }
    return chat;
  }
  if (Holds(jinja, "<|im_start|>") && Holds(jinja, "<|im_end|>")) {
    chat.family = ChatFamily::kChatMl;
    chat.default_system = DefaultSystem(jinja);
    return chat;
  }
  if (Holds(jinja, "[INST]") && Holds(jinja, "<<SYS>>")) {
    chat.family = ChatFamily::kLlama2;
    return chat;
  }
  return Fail(ErrorKind::kBadInput,
              name,
              "the chat template is none of Llama 2's, Llama 3's and ChatML's (Qwen2)");
}

Expected<ChatTemplate> LoadChatTemplate(const std::string& model_dir, const Tokenizer& tokenizer) {
  const std::filesystem::path folder = model_dir;
  std::string place = folder / "chat_template.jinja";
  std::string jinja;
  std::error_code ignored;  // What cannot be looked at is for the readers to report.
  if (std::filesystem::exists(place, ignored)) {
    auto text = ReadFile(place, kConfigBytesMax);
    if (!text) return tl::unexpected(text.error());
    jinja = std::move(*text);
  } else if (place = folder / "tokenizer_config.json"; std::filesystem::exists(place, ignored)) {
    auto text = TemplateOfConfig(place);
    if (!text) return tl::unexpected(text.error());
    jinja = std::move(*text);
  }
  if (jinja.empty()) return FromSpecialTokens(model_dir, tokenizer);
  auto chat = ParseChatTemplate(place, jinja);
  if (!chat) return chat;
  if (auto sound = CheckChatTemplate(*chat, tokenizer); !sound) {
    return Fail(ErrorKind::kBadInput, place, sound.error().Text());
  }
  return chat;
}

}  // namespace dashf::corpus
