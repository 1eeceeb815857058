#include "corpus/byte_level_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <queue>
#include <unordered_map>

#include "base/check.h"
#include "corpus/utf8.h"

namespace dashf::corpus {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

// Unicode's White_Space, which the tokenizers mean by \s, without line ends; PCRE2's has U+180E as
// well.
constexpr std::string_view kBlanks =
    R"(\x{9}\x{b}\x{c}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// The families' expressions (tokenizer_json.cc). Theirs for white space up to its last line end,
// \s*[\r\n]+, is said here in a way that never goes back, so that any text is cut in linear time.
std::string Expression(WordRule rule) {
  constexpr std::string_view kSpaces = R"([{0}\r\n]+(?![^{0}\r\n])|[{0}\r\n]+)";
  constexpr std::string_view kWords =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{1}| ?[^{0}\r\n\p{{L}}\p{{N}}]+[\r\n]*|(?:[{0}]*+[\r\n]++)++|)";
  switch (rule) {
    case WordRule::kGpt2:
      return fmt::format(
                 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^{0}\r\n\p{{L}}\p{{N}}]+|)",
                 kBlanks) +
             fmt::format(kSpaces, kBlanks);
    case WordRule::kLlama3:
      return fmt::format(kWords, kBlanks, "{1,3}") + fmt::format(kSpaces, kBlanks);
    case WordRule::kQwen2:
      return fmt::format(kWords, kBlanks, "") + fmt::format(kSpaces, kBlanks);
    case WordRule::kDigits:
      return R"(\p{N}+)";
    case WordRule::kDigitsOneByOne:
      return R"(\p{N})";
  }
  DASHF_CHECK(false);
}

// Cuts text where an expression matches; what lies between matches is a piece, too.
class Splitter {
 public:
  explicit Splitter(WordRule rule) {
    const std::string expression = Expression(rule);
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                              expression.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK,
                              &error,
                              &at,
                              nullptr));
    DASHF_CHECK(code_ != nullptr);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // Without it matching is only slower.
    limits_.reset(pcre2_match_context_create(nullptr));
    DASHF_CHECK(limits_ != nullptr);
    pcre2_set_match_limit(limits_.get(), UINT32_MAX);  // The text's length is the limit.
  }

  // `text` is valid UTF-8.
  void Split(std::string_view text, std::vector<std::string_view>* pieces) const {
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
        pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
    DASHF_CHECK(match != nullptr);
    std::size_t done = 0;
    while (done < text.size()) {  // Every expression matches at least one character.
      const int found = pcre2_match(code_.get(),
                                    reinterpret_cast<PCRE2_SPTR>(text.data()),
                                    text.size(),
                                    done,
                                    PCRE2_NO_UTF_CHECK,
                                    match.get(),
                                    limits_.get());
      if (found == PCRE2_ERROR_NOMATCH) break;
      DASHF_CHECK(found > 0);
      const PCRE2_SIZE* place = pcre2_get_ovector_pointer(match.get());
      if (place[0] > done) pieces->push_back(text.substr(done, place[0] - done));
      pieces->push_back(text.substr(place[0], place[1] - place[0]));
      done = place[1];
    }
    if (done < text.size()) pieces->push_back(text.substr(done));
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> limits_;
};

// The same text with every byte that is not part of valid UTF-8 as U+FFFD.
std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = CharacterBytes(text);
    valid += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return valid;
}

// Unicode's normal form C. Characters below U+0300, whose lead bytes are below 0xCC, are in it.
std::string NormalFormC(std::string_view text) {
  const auto plain = [](char c) { return static_cast<unsigned char>(c) < 0xCC; };
  if (std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   std::ssize(text),
                   &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  DASHF_CHECK(size >= 0);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, std::free);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

// How many bytes at the beginning of `bytes`, which is no character, one U+FFFD stands for: the
// beginning of a character that is cut short, or one byte (Unicode 15.0, 3.9, U+FFFD substitution
// of maximal subparts).
std::size_t BrokenBytes(std::string_view bytes) {
  for (std::size_t size = std::min<std::size_t>(bytes.size(), 3); size > 1; --size) {
    for (const std::string_view rest : {"\x80", "\x80\x80"}) {
      const std::string whole = std::string(bytes.substr(0, size)).append(rest);
      if (CharacterBytes(whole) == whole.size()) return size;
    }
  }
  return 1;
}

class ByteLevelTokenizer final : public TokenizerModel {
 public:
  ByteLevelTokenizer(ByteLevelModel model, int eos) : model_(std::move(model)) {
    bos_id = model_.bos_id;
    eos_id = eos;
    for (const WordRule rule : model_.rules) splitters_.emplace_back(rule);
    for (const int id : model_.words) words_.emplace(PieceOf(id), id);
    for (std::size_t rank = 0; rank < model_.merges.size(); ++rank) {
      const auto& [left, right, merged] = model_.merges[rank];
      merges_.insert_or_assign(PairKey(left, right), Merge{static_cast<int>(rank), merged});
    }
    for (const AddedToken& token : model_.added) {
      auto& by_first_byte = token.normalized ? normalized_ : raw_;
      by_first_byte[static_cast<unsigned char>(token.text[0])].push_back(&token);
    }
    for (auto* by_first_byte : {&raw_, &normalized_}) {
      for (auto& tokens : *by_first_byte) {
        std::ranges::stable_sort(
            tokens, std::greater(), [](const AddedToken* token) { return token->text.size(); });
      }
    }
  }
  ByteLevelTokenizer(const ByteLevelTokenizer&) = delete;  // Its views point into itself.
  ByteLevelTokenizer& operator=(const ByteLevelTokenizer&) = delete;

  std::vector<int> Encode(std::string_view text, bool find_special) const override {
    const std::string valid = ValidUtf8(text);
    std::vector<int> ids;
    CutAt(raw_, valid, find_special, &ids, [&](std::string_view part) {
      const std::string normal = model_.nfc ? NormalFormC(part) : std::string(part);
      CutAt(normalized_, normal, find_special, &ids, [&](std::string_view words) {
        EncodeWords(words, &ids);
      });
    });
    return ids;
  }

  std::string Decode(std::span<const int> ids) const override {
    std::string bytes;
    for (const int id : ids) {
      const bool known = id >= 0 && id < vocab_size();
      if (known && !IsSpecial(id)) bytes += PieceOf(id);
    }
    std::string text;
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::size_t size = CharacterBytes(rest);
      text += size == 0 ? kReplacement : rest.substr(0, size);
      rest.remove_prefix(size == 0 ? BrokenBytes(rest) : size);
    }
    return text;
  }

  std::string_view Piece(int id) const override {
    DASHF_CHECK(id >= 0 && id < vocab_size());
    return PieceOf(id);
  }
  int SpecialId(std::string_view text) const override {
    for (const AddedToken& token : model_.added) {
      if (token.text == text && IsSpecial(token.id)) return token.id;
    }
    return -1;
  }
  int vocab_size() const override { return static_cast<int>(model_.pieces.size()); }

 private:
  struct Merge {
    int rank, merged;
  };
  using ByFirstByte = std::array<std::vector<const AddedToken*>, 256>;

  static std::uint64_t PairKey(int left, int right) {
    return (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint64_t>(right);
  }
  bool IsSpecial(int id) const { return model_.special[static_cast<std::size_t>(id)]; }
  const std::string& PieceOf(int id) const { return model_.pieces[static_cast<std::size_t>(id)]; }

  // Appends the added tokens in the text, leftmost first and longest of those that begin there;
  // what lies between goes to `encode`.
  template <class EncodePart>
  void CutAt(const ByFirstByte& tokens,
             std::string_view text,
             bool find_special,
             std::vector<int>* ids,
             const EncodePart& encode) const {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto& candidates = tokens[static_cast<unsigned char>(text[at])];
      const auto found = std::ranges::find_if(candidates, [&](const AddedToken* token) {
        return (find_special || !IsSpecial(token->id)) && text.substr(at).starts_with(token->text);
      });
      if (found == candidates.end()) {
        ++at;
        continue;
      }
      if (at > begin) encode(text.substr(begin, at - begin));
      ids->push_back((*found)->id);
      at += (*found)->text.size();
      begin = at;
    }
    if (begin < text.size()) encode(text.substr(begin));
  }

  void EncodeWords(std::string_view text, std::vector<int>* ids) const {
    std::vector<std::string_view> pieces = {text};
    for (const Splitter& splitter : splitters_) {
      std::vector<std::string_view> finer;
      for (const std::string_view piece : pieces) splitter.Split(piece, &finer);
      pieces = std::move(finer);
    }
    for (const std::string_view piece : pieces) {
      const auto whole = model_.ignore_merges ? words_.find(piece) : words_.end();
      if (whole != words_.end()) {
        ids->push_back(whole->second);
      } else {
        MergeBytes(piece, ids);
      }
    }
  }

  // Again and again the pair of neighbours of lowest rank, the leftmost of equals; O(n log n).
  void MergeBytes(std::string_view word, std::vector<int>* ids) const {
    struct Symbol {
      int id;
      std::ptrdiff_t previous, next;
    };
    struct Offer {
      int rank;
      std::ptrdiff_t left;
      int merged;
      bool operator>(const Offer& other) const {
        return rank != other.rank ? rank > other.rank : left > other.left;
      }
    };
    std::vector<Symbol> symbols;
    for (const char c : word) {
      const std::ptrdiff_t i = std::ssize(symbols);
      const bool last = i + 1 == std::ssize(word);
      symbols.push_back({model_.byte_ids[static_cast<unsigned char>(c)], i - 1, last ? -1 : i + 1});
    }
    const auto at = [&](std::ptrdiff_t i) -> Symbol& {
      return symbols[static_cast<std::size_t>(i)];
    };
    std::priority_queue<Offer, std::vector<Offer>, std::greater<>> offers;
    const auto merge_of = [&](std::ptrdiff_t left) {
      return merges_.find(PairKey(at(left).id, at(at(left).next).id));
    };
    const auto offer = [&](std::ptrdiff_t left) {
      if (left < 0 || at(left).next < 0) return;
      const auto merge = merge_of(left);
      if (merge != merges_.end()) offers.push({merge->second.rank, left, merge->second.merged});
    };
    for (std::ptrdiff_t i = 0; i + 1 < std::ssize(symbols); ++i) offer(i);
    while (!offers.empty()) {  // Each merge removes a symbol and makes two offers at most.
      const Offer top = offers.top();
      offers.pop();
      Symbol& left = at(top.left);
      if (left.id < 0 || left.next < 0) continue;  // Merged otherwise since it was offered.
      const auto merge = merge_of(top.left);
      if (merge == merges_.end() || merge->second.merged != top.merged) continue;
      Symbol& right = at(left.next);
      left.id = top.merged;
      right.id = -1;
      left.next = right.next;
      if (left.next >= 0) at(left.next).previous = top.left;
      offer(left.previous);
      offer(top.left);
    }
    for (std::ptrdiff_t i = symbols.empty() ? -1 : 0; i >= 0; i = at(i).next) {
      ids->push_back(at(i).id);
    }
  }

  ByteLevelModel model_;
  std::vector<Splitter> splitters_;
  std::unordered_map<std::string_view, int> words_;  // Views into model_.pieces.
  std::unordered_map<std::uint64_t, Merge> merges_;
  ByFirstByte raw_, normalized_;  // Added tokens, longest first.
};

}  // namespace

std::shared_ptr<const TokenizerModel> MakeByteLevelTokenizer(ByteLevelModel model, int eos_id) {
  return std::make_shared<const ByteLevelTokenizer>(std::move(model), eos_id);
}

}  // namespace dashf::corpus
