#include "corpus/template_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf::corpus {
namespace {

// Noncharacters of Unicode, which exist for such uses within a program.
constexpr std::string_view kBegin = "\xEF\xB7\x90";  // U+FDD0
constexpr std::string_view kEnd = "\xEF\xB7\x91";    // U+FDD1

}  // namespace

TemplateText::TemplateText(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      spaces_first_text_(tokenizer.EncodeText("a") !=
                         tokenizer.EncodeText("a", /*at_start=*/false)) {
  for (const Tokenizer::SpecialToken& token : tokenizer.special_tokens()) {
    specials_[static_cast<unsigned char>(token.text[0])].push_back(&token);
  }
  for (auto& each : specials_) {
    std::ranges::sort(
        each, std::ranges::greater(), [](const auto* token) { return token->text.size(); });
  }
}

std::optional<TemplateText::Token> TemplateText::FindAnyToken(std::string_view text,
                                                              std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    for (const auto* token : specials_[static_cast<unsigned char>(text[at])]) {
      if (text.substr(at).starts_with(token->text)) {
        return Token{at, at + token->text.size(), token->id};
      }
    }
  }
  return std::nullopt;
}

std::optional<TemplateText::Token> TemplateText::FindToken(std::string_view text,
                                                           std::size_t from) const {
  for (;;) {
    const auto token = FindAnyToken(text, from);
    if (!token) return token;
    const std::string_view before = text.substr(0, token->begin);
    const bool marked = before.ends_with(kBegin) && text.substr(token->end).starts_with(kEnd);
    if (!marked) return token;
    from = token->end;
  }
}

Expected<void> TemplateText::Mark(nlohmann::ordered_json* json) const {
  if (json->is_structured()) {
    for (auto& member : *json) {
      if (auto marked = Mark(&member); !marked) return marked;
    }
    return {};
  }
  if (!json->is_string()) return {};
  auto& text = json->get_ref<std::string&>();
  if (text.find(kBegin) != std::string::npos || text.find(kEnd) != std::string::npos) {
    return Fail(ErrorKind::kBadInput, "messages", "must not hold U+FDD0 or U+FDD1");
  }
  for (std::size_t at = 0;;) {
    const auto token = FindAnyToken(text, at);
    if (!token) return {};
    text.insert(token->end, kEnd).insert(token->begin, kBegin);
    at = token->end + kBegin.size() + kEnd.size();
  }
}

void TemplateText::AppendText(std::string_view text,
                              bool token_before,
                              std::vector<int>* tokens) const {
  if (text.empty()) return;
  const bool middle =
      (tokenizer_.adds_space() && !token_before) || (spaces_first_text_ && !tokens->empty());
  if (!middle) {
    const std::vector<int> ids = tokenizer_.Encode(text, /*add_bos=*/false);
    tokens->insert(tokens->end(), ids.begin(), ids.end());
    return;
  }
  // In the middle of a text no space is added: encoded behind a line end, which is taken away
  // again.
  const std::vector<int> line = tokenizer_.Encode("\n", /*add_bos=*/false);
  const std::vector<int> ids = tokenizer_.Encode(fmt::format("\n{}", text), /*add_bos=*/false);
  const bool parted =
      ids.size() >= line.size() && std::equal(line.begin(), line.end(), ids.begin());
  if (parted) {
    const auto behind = ids.begin() + static_cast<std::ptrdiff_t>(line.size());
    tokens->insert(tokens->end(), behind, ids.end());
  } else {
    const std::vector<int> alone = tokenizer_.EncodeText(text, /*at_start=*/false);
    tokens->insert(tokens->end(), alone.begin(), alone.end());
  }
}

void TemplateText::Append(std::string_view piece,
                          bool token_before,
                          std::vector<int>* tokens) const {
  while (!piece.empty()) {
    const std::size_t mark = std::min(piece.find(kBegin), piece.find(kEnd));
    const auto token = FindToken(piece.substr(0, mark), 0);
    const std::size_t end = token ? token->begin : std::min(mark, piece.size());
    AppendText(piece.substr(0, end), token_before, tokens);
    token_before = token_before && end == 0;
    piece.remove_prefix(end);
    if (token) {
      tokens->push_back(token->id);
      token_before = true;
      piece.remove_prefix(token->end - token->begin);
      continue;
    }
    if (piece.empty()) return;
    const bool begins = piece.starts_with(kBegin);
    piece.remove_prefix(kBegin.size());  // A mark without its other half only parts the text.
    const auto marked = begins ? FindAnyToken(piece, 0) : std::nullopt;
    if (!marked || marked->begin > 0 || !piece.substr(marked->end).starts_with(kEnd)) continue;
    const std::vector<int> ids =
        tokenizer_.EncodeText(piece.substr(0, marked->end), /*at_start=*/tokens->empty());
    tokens->insert(tokens->end(), ids.begin(), ids.end());
    token_before = false;
    piece.remove_prefix(marked->end + kEnd.size());
  }
}

}  // namespace dashf::corpus
