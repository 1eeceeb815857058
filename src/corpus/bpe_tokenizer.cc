#include "corpus/bpe_tokenizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "corpus/added_tokens.h"
#include "corpus/rank_merger.h"

namespace dashf::corpus {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

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

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string replaced;
  replaced.reserve(text.size());
  while (!text.empty()) {
    const std::size_t at = std::min(text.find(from), text.size());
    replaced += text.substr(0, at);
    if (at < text.size()) replaced += to;
    text.remove_prefix(std::min(at + from.size(), text.size()));
  }
  return replaced;
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

// "<0x0A>".
std::optional<char> ByteOf(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  int value = 0;
  for (const char digit : piece.substr(3, 2)) {
    const std::size_t at = std::string_view("0123456789ABCDEF").find(digit);
    if (at == std::string_view::npos) return std::nullopt;
    value = 16 * value + static_cast<int>(at);
  }
  return static_cast<char>(value);
}

class BpeTokenizer final : public TokenizerModel {
 public:
  explicit BpeTokenizer(BpeModel model) : model_(std::move(model)), merger_(model_.merges) {
    bos_id = model_.bos_id;
    unk_id = model_.unk_id;
    for (const WordRule rule : model_.rules) splitters_.emplace_back(rule);
    words_.reserve(model_.words.size());
    for (const int id : model_.words) words_.emplace(PieceOf(id), id);
    for (const AddedToken& token : model_.added) {
      (token.normalized ? normalized_ : raw_).Add(token, IsSpecial(token.id));
      if (IsSpecial(token.id)) specials_.emplace(token.text, token.id);
    }
  }
  BpeTokenizer(const BpeTokenizer&) = delete;  // Its views point into itself.
  BpeTokenizer& operator=(const BpeTokenizer&) = delete;

  std::vector<int> Encode(std::string_view text, bool find_special, bool at_start) const override {
    const std::string valid = ValidUtf8(text);
    std::vector<int> ids;
    const auto found = [&ids](int id) { ids.push_back(id); };
    raw_.CutAt(valid, find_special, found, [&](std::string_view part) {
      const bool part_first = at_start && part.data() == valid.data();
      const std::string normal = Normalized(part);
      normalized_.CutAt(normal, find_special, found, [&](std::string_view words) {
        EncodeWords(words, part_first && words.data() == normal.data(), &ids);
      });
    });
    return ids;
  }

  std::string Decode(std::span<const int> ids) const override {
    return model_.byte_level ? DecodeBytes(ids) : DecodeCharacters(ids);
  }

  std::string_view Piece(int id) const override {
    DASHF_CHECK(id >= 0 && id < vocab_size());
    return PieceOf(id);
  }
  int SpecialId(std::string_view text) const override {
    const auto special = specials_.find(text);
    return special == specials_.end() ? -1 : special->second;
  }
  int vocab_size() const override { return static_cast<int>(model_.pieces.size()); }
  bool adds_space() const override {
    const auto prepends = [](const NormalStep& step) {
      return step.kind == NormalStep::Kind::kPrepend;
    };
    return std::ranges::any_of(model_.normal_steps, prepends) ||
           std::ranges::any_of(model_.metaspace, [](const Metaspace& metaspace) {
             return metaspace.prepend != Metaspace::Prepend::kNever;
           });
  }

 private:
  bool IsSpecial(int id) const { return model_.special[static_cast<std::size_t>(id)]; }
  const std::string& PieceOf(int id) const { return model_.pieces[static_cast<std::size_t>(id)]; }

  std::string Normalized(std::string_view part) const {
    std::string text(part);
    for (const NormalStep& step : model_.normal_steps) {
      switch (step.kind) {
        case NormalStep::Kind::kNfc:
          text = NormalFormC(text);
          break;
        case NormalStep::Kind::kPrepend:
          if (!text.empty()) text = step.to + text;
          break;
        case NormalStep::Kind::kReplace:
          text = Replaced(text, step.from, step.to);
          break;
      }
    }
    return text;
  }

  void EncodeWords(std::string_view text, bool first, std::vector<int>* ids) const {
    std::string spaced;  // Outlives the pieces.
    std::vector<std::string_view> pieces = {text};
    for (const Metaspace& metaspace : model_.metaspace) {
      spaced = Replaced(text, " ", metaspace.symbol);
      const bool prepends = metaspace.prepend == Metaspace::Prepend::kAlways ||
                            (metaspace.prepend == Metaspace::Prepend::kFirst && first);
      if (prepends && !spaced.starts_with(metaspace.symbol)) spaced = metaspace.symbol + spaced;
      pieces = metaspace.split ? SplitBefore(metaspace.symbol, spaced)
                               : std::vector<std::string_view>{spaced};
    }
    for (const WordSplitter& splitter : splitters_) {
      std::vector<std::string_view> finer;
      for (const std::string_view piece : pieces) splitter.Split(piece, &finer);
      pieces = std::move(finer);
    }
    for (const std::string_view piece : pieces) {
      const auto whole = model_.ignore_merges ? words_.find(piece) : words_.end();
      if (whole != words_.end()) {
        ids->push_back(whole->second);
      } else {
        merger_.Merge(SymbolsOf(piece), ids);
      }
    }
  }

  static std::vector<std::string_view> SplitBefore(std::string_view symbol, std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(symbol, symbol.size()));
      words.push_back(word);
      text.remove_prefix(word.size());
    }
    return words;
  }

  // The token of one symbol, a byte or a character; -1: it has none.
  int IdOf(std::string_view symbol) const {
    if (model_.byte_level) return model_.byte_ids[static_cast<unsigned char>(symbol[0])];
    const auto id = words_.find(symbol);
    return id == words_.end() ? -1 : id->second;
  }

  // Appends the tokens of a character's bytes, if there is one for each.
  bool FallBack(std::string_view symbol, std::vector<int>* symbols) const {
    const auto id_of = [this](char c) { return model_.byte_ids[static_cast<unsigned char>(c)]; };
    if (!model_.byte_fallback) return false;
    if (std::ranges::any_of(symbol, [&](char c) { return id_of(c) < 0; })) return false;
    std::ranges::transform(symbol, std::back_inserter(*symbols), id_of);
    return true;
  }

  // What merging begins with. A symbol without a token becomes the unknown token or, without one,
  // is left out, as `tokenizers` does; an unknown token waits for the next symbol of the
  // vocabulary, with which a run of them ends.
  std::vector<int> SymbolsOf(std::string_view word) const {
    std::vector<int> symbols;
    symbols.reserve(word.size());
    bool unknown = false;
    while (!word.empty()) {
      const std::string_view symbol = word.substr(0, model_.byte_level ? 1 : CharacterBytes(word));
      word.remove_prefix(symbol.size());
      if (const int id = IdOf(symbol); id >= 0) {
        if (std::exchange(unknown, false)) symbols.push_back(unk_id);
        symbols.push_back(id);
      } else if (!FallBack(symbol, &symbols) && unk_id >= 0) {
        if (unknown && !model_.fuse_unk) symbols.push_back(unk_id);
        unknown = true;
      }
    }
    if (unknown) symbols.push_back(unk_id);
    return symbols;
  }

  std::string DecodeBytes(std::span<const int> ids) const {
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

  // A run of byte tokens that is not valid UTF-8 is U+FFFD for each of its bytes.
  std::string DecodeCharacters(std::span<const int> ids) const {
    std::string text, bytes;
    const auto end_run = [&] {
      if (IsUtf8(bytes)) {
        text += bytes;
      } else {
        for (std::size_t i = 0; i < bytes.size(); ++i) text += kReplacement;
      }
      bytes.clear();
    };
    const BpeDecoder& decoder = model_.decoder;
    for (const int id : ids) {
      if (id < 0 || id >= vocab_size() || IsSpecial(id)) continue;
      const auto byte = decoder.byte_fallback ? ByteOf(PieceOf(id)) : std::nullopt;
      if (byte) {
        bytes += *byte;
        continue;
      }
      end_run();
      text += decoder.space_symbol.empty() ? PieceOf(id)
                                           : Replaced(PieceOf(id), decoder.space_symbol, " ");
    }
    end_run();
    if (decoder.strips_space && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

  BpeModel model_;
  RankMerger merger_;
  std::vector<WordSplitter> splitters_;
  std::unordered_map<std::string_view, int> words_;     // Views into model_.pieces.
  std::unordered_map<std::string_view, int> specials_;  // Views into model_.added.
  AddedTokens raw_, normalized_;
};

}  // namespace

std::shared_ptr<TokenizerModel> MakeBpeTokenizer(BpeModel model) {
  return std::make_shared<BpeTokenizer>(std::move(model));
}

}  // namespace dashf::corpus
