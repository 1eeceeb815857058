#include "corpus/added_tokens.h"

#include <algorithm>

namespace dashf::corpus {
namespace {

constexpr std::array<std::string_view, 25> kSpaces = {" ",
                                                      "\t",
                                                      "\n",
                                                      "\v",
                                                      "\f",
                                                      "\r",
                                                      "\xC2\x85",
                                                      "\xC2\xA0",
                                                      "\xE1\x9A\x80",
                                                      "\xE2\x80\x80",
                                                      "\xE2\x80\x81",
                                                      "\xE2\x80\x82",
                                                      "\xE2\x80\x83",
                                                      "\xE2\x80\x84",
                                                      "\xE2\x80\x85",
                                                      "\xE2\x80\x86",
                                                      "\xE2\x80\x87",
                                                      "\xE2\x80\x88",
                                                      "\xE2\x80\x89",
                                                      "\xE2\x80\x8A",
                                                      "\xE2\x80\xA8",
                                                      "\xE2\x80\xA9",
                                                      "\xE2\x80\xAF",
                                                      "\xE2\x81\x9F",
                                                      "\xE3\x80\x80"};

std::size_t LeadingSpace(std::string_view text) {
  std::size_t size = 0;
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view space : kSpaces) {
      if (!text.substr(size).starts_with(space)) continue;
      size += space.size();
      more = true;
    }
  }
  return size;
}

std::string_view WithoutTrailingSpace(std::string_view text) {
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view space : kSpaces) {
      if (!text.ends_with(space)) continue;
      text.remove_suffix(space.size());
      more = true;
    }
  }
  return text;
}

}  // namespace

void AddedTokens::Add(const AddedToken& token, bool special) {
  tokens_.insert_or_assign(token.text,
                           Entry{token.id, special, token.left_strip, token.right_strip});
  auto& sizes = sizes_[static_cast<unsigned char>(token.text[0])];
  if (std::ranges::find(sizes, token.text.size()) == sizes.end()) {
    sizes.push_back(token.text.size());
    std::ranges::sort(sizes, std::greater());
  }
}

const AddedTokens::Entry* AddedTokens::Find(std::string_view text,
                                            bool find_special,
                                            std::size_t* size) const {
  for (const std::size_t length : sizes_[static_cast<unsigned char>(text[0])]) {
    if (length > text.size()) continue;
    const auto token = tokens_.find(std::string(text.substr(0, length)));
    if (token == tokens_.end() || (token->second.special && !find_special)) continue;
    *size = length;
    return &token->second;
  }
  return nullptr;
}

void AddedTokens::CutAt(std::string_view text,
                        bool find_special,
                        const std::function<void(int id)>& found,
                        const std::function<void(std::string_view part)>& between) const {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = 0;
    const Entry* const token = Find(text.substr(at), find_special, &size);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::string_view before = text.substr(begin, at - begin);
    if (token->left_strip) before = WithoutTrailingSpace(before);
    if (!before.empty()) between(before);
    found(token->id);
    at += size;
    if (token->right_strip) at += LeadingSpace(text.substr(at));
    begin = at;
  }
  if (begin < text.size()) between(text.substr(begin));
}

}  // namespace dashf::corpus
