// Conversations, and the forms in which the chat models of three families are shown them: Llama 2's
// ([INST]), Llama 3's (header ids) and ChatML's (Qwen2). The tokens that only a form may place,
// such as <|eot_id|>, come from the form alone: the same characters in a message are read as text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/conversation.h"
#include "corpus/example.h"
#include "corpus/tokenizer.h"

namespace dashf::corpus {

enum class ChatFamily { kLlama2, kLlama3, kChatMl };

struct ChatTemplate {
  ChatFamily family = ChatFamily::kChatMl;
  std::string default_system;   // ChatML: of a conversation that begins without a system message.
  std::string system_preamble;  // Llama 3.1: begins the system message, which is then always there.

  friend bool operator==(const ChatTemplate&, const ChatTemplate&) = default;
};

// By the name of its family: "llama2", "llama3" or "chatml".
std::optional<ChatTemplate> ChatTemplateNamed(std::string_view name);

// What a Jinja template, as tokenizer_config.json has them, asks for. It is not carried out: the
// family is recognised by its tokens, with the default system message of ChatML's and the dates of
// Llama 3.1's (the date that stands there, where the template would ask the clock). `name` is the
// place that errors name. kBadInput for other families.
Expected<ChatTemplate> ParseChatTemplate(const std::string& name, std::string_view jinja);

// The folder's: chat_template.jinja, or "chat_template" of tokenizer_config.json (of several, the
// one named "default"), or, without either, what the tokenizer's special tokens tell. kBadInput if
// nothing tells it or the tokenizer lacks the family's special tokens.
Expected<ChatTemplate> LoadChatTemplate(const std::string& model_dir, const Tokenizer& tokenizer);
// kBadInput names the special token that the family needs and the tokenizer lacks.
Expected<void> CheckChatTemplate(const ChatTemplate& chat, const Tokenizer& tokenizer);

// A piece of a conversation as the model sees it.
struct ChatPart {
  std::string text;
  bool special = false;  // One special token, else text in which none is looked for.
  bool answer = false;   // Counted by the loss: the assistant's words and the token that ends them.

  friend bool operator==(const ChatPart&, const ChatPart&) = default;
};

// The conversation in the family's form; with `open`, up to where the assistant's next words begin.
// kBadInput where the form has no place for it: a system message that is not the first, and, for
// Llama 2, turns that do not alternate or one of the form's marks ("[INST]") in a message.
Expected<std::vector<ChatPart>> Render(const ChatTemplate& chat,
                                       std::span<const Message> conversation,
                                       bool open);

// A conversation to train on, Fitted to `tokens_max` >= 3. Each answer is encoded apart from what
// stands before it, as a model that continues it sees them. kBadInput also without an answer.
Expected<Example> TokenizeChat(const ChatTemplate& chat,
                               std::span<const Message> conversation,
                               const Tokenizer& tokenizer,
                               int tokens_max);
// A conversation that the assistant is to continue.
Expected<std::vector<int>> TokenizeChatPrompt(const ChatTemplate& chat,
                                              std::span<const Message> conversation,
                                              const Tokenizer& tokenizer);
// The token that ends an assistant's turn.
int EndOfTurn(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace dashf::corpus
