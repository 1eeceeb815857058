#include "corpus/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "corpus/template_text.h"

namespace dashf::corpus {
namespace {

struct Range {
  std::size_t begin = 0, end = 0;  // In bytes.
};

// A text to train on and, in ascending order, the answers in it.
struct MarkedText {
  std::string text;
  std::vector<Range> answers;
};

tl::unexpected<Error> Refuse(std::string rule) {
  return Fail(ErrorKind::kBadInput, "messages", std::move(rule));
}

tl::unexpected<Error> RefuseBlock(std::size_t index, const std::string& block) {
  return Refuse(fmt::format(
      "the chat template's prompt for messages[{}] ends in {}, which it does not show before the "
      "answer itself: it cannot be trained as it will be asked; if that opens the model's "
      "reasoning, give the answer its own, as \"reasoning_content\" or at the content's beginning",
      index,
      nlohmann::json(block).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool IsTrained(const Message& message) {
  return message.role == Role::kAssistant && message.trained;
}

// With the special tokens in what people wrote marked as such.
Expected<Conversation> Marked(const Conversation& conversation, const TemplateText& encoder) {
  Conversation marked = conversation;
  for (Message& message : marked.messages) {
    nlohmann::ordered_json content = message.content;
    if (auto done = encoder.Mark(&content); !done) return tl::unexpected(done.error());
    message.content = content.get<std::string>();
    if (auto done = encoder.Mark(&message.extra); !done) return tl::unexpected(done.error());
  }
  if (auto done = encoder.Mark(&marked.extra); !done) return tl::unexpected(done.error());
  return marked;
}

Expected<std::string> Beginning(const ChatTemplate& chat,
                                const Conversation& conversation,
                                std::size_t messages,
                                bool prompt) {
  Conversation part = conversation;
  part.messages.resize(messages);
  auto rendering = chat.Render(part, prompt);
  if (!rendering) return tl::unexpected(rendering.error());
  return std::move(rendering->text);
}

// Where an answer ends that what the template shows of it, begin to the text's end, holds: behind
// the last special token, if nothing but white space follows it.
std::size_t EndOfAnswer(std::string_view text, std::size_t begin, const TemplateText& encoder) {
  std::size_t end = text.size();
  for (auto token = encoder.FindToken(text, begin); token;
       token = encoder.FindToken(text, token->end)) {
    const std::string_view rest = text.substr(token->end);
    if (rest.find_first_not_of(" \t\r\n") == std::string_view::npos) end = token->end;
  }
  return end;
}

// What the template shows of message `index`, an answer, beyond the first `shown` bytes and before
// what it shows behind the content of any: told by an answer of other words. Nothing where that
// does not tell.
std::optional<std::string_view> ContentShown(const ChatTemplate& chat,
                                             Conversation conversation,
                                             std::size_t index,
                                             std::string_view text,
                                             std::size_t shown) {
  const std::string probe = "probe";
  conversation.messages[index].content = probe;
  const auto other = Beginning(chat, conversation, index + 1, /*prompt=*/false);
  if (!other || other->compare(0, shown, text, 0, shown) != 0) return std::nullopt;
  const std::string_view rest = std::string_view(*other).substr(shown);
  if (!rest.starts_with(probe)) return std::nullopt;
  const std::string_view behind = rest.substr(probe.size());
  if (!text.ends_with(behind) || shown + behind.size() > text.size()) return std::nullopt;
  return text.substr(shown, text.size() - behind.size() - shown);
}

// Whether all that this opens is closed at its end: "<think>\n</think>", "<|channel>...<channel|>".
bool IsClosed(std::string_view block) {
  block = Trimmed(block);
  const std::size_t last = block.rfind('<');
  if (last == std::string_view::npos || !block.ends_with('>')) return false;
  const std::string_view name = block.substr(last + 1, block.size() - last - 2);
  std::string opening;
  if (name.starts_with('/')) opening = fmt::format("<{}>", name.substr(1));
  if (name.ends_with('|')) opening = fmt::format("<|{}>", name.substr(0, name.size() - 1));
  return !opening.empty() && block.substr(0, last).find(opening) != std::string_view::npos;
}

// The words that follow a prompt of more than the template shows before them: whose end, `block`,
// is an empty block of reasoning, or the beginning of one that the message goes on with.
std::optional<std::string> WordsBehind(std::string_view block,
                                       std::string_view content,
                                       std::string_view shown) {
  if (IsClosed(block) && Trimmed(content) == Trimmed(shown)) return std::string(shown);
  const std::string_view opening = Trimmed(block);
  if (IsClosed(block) || opening.empty() || !content.starts_with(opening)) return std::nullopt;
  if (!Trimmed(content).ends_with(Trimmed(shown))) return std::nullopt;
  std::string_view words = content.substr(opening.size());
  const std::string_view space = block.substr(block.find(opening) + opening.size());
  if (words.starts_with(space)) words.remove_prefix(space.size());
  return std::string(words);
}

// What the template shows up to an answer, message `index`, and that answer.
Expected<MarkedText> AsLast(const ChatTemplate& chat,
                            const Conversation& conversation,
                            std::size_t index,
                            const TemplateText& encoder) {
  const auto prompt = Beginning(chat, conversation, index, /*prompt=*/true);
  if (!prompt) return tl::unexpected(prompt.error());
  auto text = Beginning(chat, conversation, index + 1, /*prompt=*/false);
  if (!text) return tl::unexpected(text.error());
  const auto same =
      static_cast<std::size_t>(std::ranges::mismatch(*prompt, *text).in1 - prompt->begin());
  if (same < prompt->size()) {
    const std::string block = prompt->substr(same);
    const auto shown = ContentShown(chat, conversation, index, *text, same);
    const auto words =
        shown ? WordsBehind(block, conversation.messages[index].content, *shown) : std::nullopt;
    if (!words) return RefuseBlock(index, block);
    *text = *prompt + *words + text->substr(same + shown->size());
  }
  const Range answer{prompt->size(), EndOfAnswer(*text, prompt->size(), encoder)};
  text->resize(answer.end);
  if (answer.begin == answer.end) {
    return Refuse(fmt::format("the chat template shows nothing of messages[{}]", index));
  }
  return MarkedText{std::move(*text), {answer}};
}

// By the template's own marks.
Expected<std::vector<MarkedText>> Generations(const ChatTemplate& chat,
                                              const Conversation& conversation) {
  auto rendering = chat.Render(conversation, /*prompt=*/false);
  if (!rendering) return tl::unexpected(rendering.error());
  std::vector<bool> trained;
  for (const Message& message : conversation.messages) {
    if (message.role == Role::kAssistant) trained.push_back(message.trained);
  }
  const auto& marked = rendering->generations;
  const bool all = std::ranges::all_of(trained, std::identity());
  if (marked.empty() || (!all && marked.size() != trained.size())) {
    return Refuse(
        fmt::format("the chat template marks {} answers with {{% generation %}}, where "
                    "the conversation has {}",
                    marked.size(),
                    trained.size()));
  }
  MarkedText text;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    const auto& [begin, end] = marked[i];
    if (begin < end && (all || trained[i])) text.answers.push_back({begin, end});
  }
  if (text.answers.empty()) return Refuse("the chat template shows nothing of the answers");
  text.text = rendering->text.substr(0, text.answers.back().end);
  return std::vector{std::move(text)};
}

// By what the template adds to its prompts.
Expected<std::vector<MarkedText>> Answers(const ChatTemplate& chat,
                                          const Conversation& conversation,
                                          const TemplateText& encoder) {
  std::vector<MarkedText> texts;  // From the last answer to the first.
  for (std::size_t i = conversation.messages.size(); i-- > 0;) {
    if (!IsTrained(conversation.messages[i])) continue;
    auto last = AsLast(chat, conversation, i, encoder);
    if (!last) return tl::unexpected(last.error());
    const auto around = std::ranges::find_if(texts, [&](const MarkedText& text) {
      return text.text.starts_with(last->text) && last->text.size() <= text.answers[0].begin;
    });
    if (around == texts.end()) {
      texts.push_back(std::move(*last));
    } else {
      around->answers.insert(around->answers.begin(), last->answers[0]);
    }
  }
  std::ranges::reverse(texts);
  return texts;
}

Example Tokenized(const MarkedText& text, const Tokenizer& tokenizer, const TemplateText& encoder) {
  Example example;
  std::size_t at = 0;
  const auto append = [&](std::size_t end) {
    const std::string_view before = std::string_view(text.text).substr(0, at);
    bool token_before = before.empty();
    if (!before.empty() && !example.tokens.empty()) {
      const std::string_view piece = tokenizer.Piece(example.tokens.back());
      token_before = tokenizer.SpecialId(piece) == example.tokens.back();
    }
    encoder.Append(std::string_view(text.text).substr(at, end - at), token_before, &example.tokens);
    at = end;
  };
  for (const auto& [begin, end] : text.answers) {
    append(begin);
    const auto first = static_cast<int>(example.tokens.size());
    append(end);
    const auto last = static_cast<int>(example.tokens.size());
    if (first < last) example.answers.push_back({first, last});
  }
  return example;
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

Expected<std::vector<Example>> TokenizeChat(const ChatTemplate& chat,
                                            const Conversation& conversation,
                                            const Tokenizer& tokenizer,
                                            int tokens_max) {
  if (std::ranges::none_of(conversation.messages, IsTrained)) {
    return Refuse("must have one of the assistant's that is trained");
  }
  const TemplateText encoder(tokenizer);
  const auto marked = Marked(conversation, encoder);
  if (!marked) return tl::unexpected(marked.error());
  const auto texts =
      chat.marks_generation() ? Generations(chat, *marked) : Answers(chat, *marked, encoder);
  if (!texts) return tl::unexpected(texts.error());
  std::vector<Example> examples;
  for (const MarkedText& text : *texts) {
    Example example = Tokenized(text, tokenizer, encoder);
    if (example.answers.empty()) return Refuse("an answer has no token");
    if (example.answer_begin() == 0) return Refuse("the chat template begins with the answer");
    const bool has_bos = example.tokens.front() == tokenizer.bos_id();
    examples.push_back(Fitted(std::move(example), has_bos ? 1 : 0, tokens_max));
  }
  return examples;
}

Expected<std::vector<int>> TokenizeChatPrompt(const ChatTemplate& chat,
                                              const Conversation& conversation,
                                              const Tokenizer& tokenizer) {
  if (conversation.messages.empty() || conversation.messages.back().role == Role::kAssistant) {
    return Refuse("must end with another's than the assistant's to be continued");
  }
  const TemplateText encoder(tokenizer);
  const auto marked = Marked(conversation, encoder);
  if (!marked) return tl::unexpected(marked.error());
  const auto prompt = chat.Render(*marked, /*prompt=*/true);
  if (!prompt) return tl::unexpected(prompt.error());
  std::vector<int> tokens;
  encoder.Append(prompt->text, /*token_before=*/true, &tokens);
  if (tokens.empty()) return Refuse("the chat template makes an empty prompt of them");
  return tokens;
}

int EndOfTurn(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const TemplateText encoder(tokenizer);
  Conversation probe;
  const std::string answer = "answer";
  probe.messages = {{Role::kUser, "question"}, {Role::kAssistant, answer}};
  const auto text = chat.Render(probe, /*prompt=*/false);
  if (!text) return -1;
  const std::size_t at = text->text.rfind(answer);
  if (at == std::string::npos) return -1;
  const auto token = encoder.FindToken(text->text, at + answer.size());
  return token ? token->id : -1;
}

}  // namespace dashf::corpus
