// Conversations as a model is shown them: by the chat template of its folder, carried out as it is
// written (jinja/template.h), or by one of three forms. The tokens that only a template may place,
// such as <|eot_id|>, come from the template alone: the same characters in a message are read as
// text.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/conversation.h"
#include "corpus/example.h"
#include "corpus/tokenizer.h"
#include "jinja/template.h"

namespace dashf::corpus {

// Immutable; safe from any thread.
class ChatTemplate {
 public:
  // `variables`: an object of what the template finds beside the conversation, as "bos_token".
  // `name` is the place that errors name. kBadInput for what breaks Jinja's grammar or is not
  // supported.
  static Expected<ChatTemplate> Parse(const std::string& name,
                                      std::string_view jinja,
                                      nlohmann::ordered_json variables);

  // As transformers' apply_chat_template has it; with `prompt`, add_generation_prompt is true.
  // kBadInput, with the template's line, for what the template raises or what it cannot carry out.
  Expected<jinja::Rendering> Render(const Conversation& conversation, bool prompt) const;
  bool marks_generation() const { return template_.marks_generation(); }

  // Takes the place of this one for conversations with "tools".
  void SetForTools(jinja::Template for_tools) { for_tools_ = std::move(for_tools); }

  // Special tokens without which the template makes no sense; Load and Parse know of none.
  std::vector<std::string> needed;

 private:
  ChatTemplate(jinja::Template main, nlohmann::ordered_json variables);

  jinja::Template template_;
  std::optional<jinja::Template> for_tools_;
  nlohmann::ordered_json variables_;
  std::tm now_;  // When this was made: the same data give the same tokens all through a run.
};

// By the name of its form: "llama2", "llama3" or "chatml".
std::optional<ChatTemplate> ChatTemplateNamed(std::string_view name);
// kBadInput names a token that the template needs and the tokenizer lacks.
Expected<void> CheckChatTemplate(const ChatTemplate& chat, const Tokenizer& tokenizer);

// The folder's: chat_template.jinja, "chat_template" of chat_template.json, or that of
// tokenizer_config.json (of several, the one named "default", and "tool_use" for conversations with
// tools); without any, ChatML's or Llama 3's form if the tokenizer has its special tokens.
// kBadInput if nothing tells it.
Expected<ChatTemplate> LoadChatTemplate(const std::string& model_dir, const Tokenizer& tokenizer);

// A conversation to train on; each example Fitted to `tokens_max` >= 3. The loss counts what
// {% generation %} marks, or else, of each answer that is trained, what the template adds to its
// own prompt for it, up to the special token that ends it. An answer is encoded apart from what
// stands before it, as a model that continues it sees them. There are several examples only where
// the template shows an answer otherwise once it is no longer the last: each is then trained as it
// is shown as the last. Where the prompt for an answer ends in an empty block of reasoning that the
// template does not show before it, or opens one and the answer begins with it, the answer is
// trained behind that prompt. kBadInput also without an answer, and where else the prompt for an
// answer is not how the template shows it.
Expected<std::vector<Example>> TokenizeChat(const ChatTemplate& chat,
                                            const Conversation& conversation,
                                            const Tokenizer& tokenizer,
                                            int tokens_max);
// A conversation that the assistant is to continue.
Expected<std::vector<int>> TokenizeChatPrompt(const ChatTemplate& chat,
                                              const Conversation& conversation,
                                              const Tokenizer& tokenizer);
// The special token that the template puts behind an assistant's words; -1: none.
int EndOfTurn(const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace dashf::corpus
