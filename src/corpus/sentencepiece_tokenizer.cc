#include "corpus/sentencepiece_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "corpus/added_tokens.h"
#include "corpus/bpe_merger.h"
#include "corpus/sentencepiece_model.h"

namespace dashf::corpus {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581.
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

std::size_t FirstByte(std::string_view text) {
  return static_cast<unsigned char>(text[0]);
}

// The value of a byte piece, "<0x00>" to "<0xFF>", or -1.
int ByteValue(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const std::size_t high = kDigits.find(piece[3]);
  const std::size_t low = kDigits.find(piece[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return -1;
  return static_cast<int>(16 * high + low);
}

// Of a `tokenizer.model` file.
struct SentencePieceTokenizer final : TokenizerModel {
  SentencePieceModel model;
  // Ids by text, the keys being views into `model`. Merges look among text pieces alone.
  std::unordered_map<std::string_view, int> text_ids;           // Normal, user-defined, unused.
  std::unordered_map<std::string_view, int> reserved_ids;       // Unknown, control, byte.
  std::array<std::vector<std::string_view>, 256> user_defined;  // By first byte, longest first.
  std::array<int, 256> byte_ids;                                // The byte pieces, or -1.
  int vocab = 0;

  AddedTokens added;                              // Those that stand beside the file.
  std::map<int, TokenizerConfig::Added> beside;   // The same by id.
  std::unordered_map<std::string, int> specials;  // Of them, ids by text.

  std::vector<int> Encode(std::string_view text, bool find_special, bool at_start) const override;
  std::string Decode(std::span<const int> ids) const override;
  std::string_view Piece(int id) const override;
  int vocab_size() const override { return vocab; }
  int SpecialId(std::string_view text) const override;
  bool adds_space() const override { return model.add_dummy_prefix; }

  Expected<void> Index(const std::string& name);
  Expected<void> AddBeside(const std::vector<TokenizerConfig::Added>& tokens);
  void EncodePieces(std::string_view text, std::vector<int>* ids) const;
  int ControlId(std::string_view piece) const;
  PieceType Type(int id) const { return model.pieces[static_cast<std::size_t>(id)].type; }
  int IdOf(std::string_view piece) const;
  std::size_t UserDefinedPrefix(std::string_view text) const;
  std::string Normalize(std::string_view text) const;
};

Expected<void> SentencePieceTokenizer::Index(const std::string& name) {
  byte_ids.fill(-1);
  for (int id = 0; id < static_cast<int>(model.pieces.size()); ++id) {
    const std::string_view text = model.pieces[static_cast<std::size_t>(id)].text;
    const PieceType type = Type(id);
    const bool reserved =
        type == PieceType::kUnknown || type == PieceType::kControl || type == PieceType::kByte;
    const auto reject = [&](std::string rule) {
      return Fail(ErrorKind::kBadInput, fmt::format("{}: pieces[{}]", name, id), std::move(rule));
    };
    if (!IsUtf8(text)) return reject("piece must be valid UTF-8");
    if (!(reserved ? reserved_ids : text_ids).emplace(text, id).second) {
      return reject(fmt::format("piece \"{}\" stands twice", text));
    }
    if (type == PieceType::kUserDefined) user_defined[FirstByte(text)].push_back(text);
    if (type == PieceType::kUnknown && std::exchange(unk_id, id) >= 0) {
      return reject("a second unknown piece");
    }
    if (type == PieceType::kByte) {
      const int value = ByteValue(text);
      if (value < 0)
        return reject(fmt::format("byte piece must be <0x00> to <0xFF>, got {}", text));
      byte_ids[static_cast<std::size_t>(value)] = id;
    }
  }
  if (unk_id < 0) return Fail(ErrorKind::kBadInput, name, "has no unknown piece");
  if (model.byte_fallback && std::ranges::count(byte_ids, -1) > 0) {
    return Fail(ErrorKind::kBadInput, name, "has byte fallback, but not all 256 byte pieces");
  }
  for (auto& pieces : user_defined) {
    std::ranges::stable_sort(pieces, std::greater(), &std::string_view::size);
  }
  vocab = static_cast<int>(model.pieces.size());
  bos_id = ControlId(model.bos_piece);
  eos_id = ControlId(model.eos_piece);
  return {};
}

// A special one that is a piece of the file as well, user-defined for instance, is then found where
// special tokens are looked for, and nowhere else.
Expected<void> SentencePieceTokenizer::AddBeside(
    const std::vector<TokenizerConfig::Added>& tokens) {
  constexpr int kBesideMax = 1 << 20;
  for (const TokenizerConfig::Added& entry : tokens) {
    const auto& [text, id, normalized, left_strip, right_strip] = entry.token;
    const auto size = static_cast<int>(model.pieces.size());
    if (id >= size + kBesideMax) {
      return Fail(ErrorKind::kBadInput,
                  "added tokens",
                  fmt::format("the id of \"{}\" must be below {}", text, size + kBesideMax));
    }
    const bool own = id < size;
    if (own && Type(id) != PieceType::kUserDefined && Type(id) != PieceType::kNormal) continue;
    if (own && (!entry.special || model.pieces[static_cast<std::size_t>(id)].text != text)) {
      continue;  // The file itself has it so, or otherwise; the file is right.
    }
    if (own) {
      text_ids.erase(std::string_view(model.pieces[static_cast<std::size_t>(id)].text));
      std::erase(user_defined[FirstByte(text)], std::string_view(text));
    }
    vocab = std::max(vocab, id + 1);
    added.Add(entry.token, entry.special);
    beside.insert_or_assign(id, entry);
    if (entry.special) specials.emplace(text, id);
  }
  return {};
}

int SentencePieceTokenizer::SpecialId(std::string_view text) const {
  const auto special = specials.find(std::string(text));
  return special == specials.end() ? ControlId(text) : special->second;
}

int SentencePieceTokenizer::ControlId(std::string_view piece) const {
  const auto it = reserved_ids.find(piece);
  return it != reserved_ids.end() && Type(it->second) == PieceType::kControl ? it->second : -1;
}

int SentencePieceTokenizer::IdOf(std::string_view piece) const {
  if (const auto it = reserved_ids.find(piece); it != reserved_ids.end()) return it->second;
  const auto it = text_ids.find(piece);
  return it == text_ids.end() ? unk_id : it->second;
}

// The length of the longest user-defined piece (never split, never merged) that `text` begins with.
std::size_t SentencePieceTokenizer::UserDefinedPrefix(std::string_view text) const {
  for (const std::string_view piece : user_defined[FirstByte(text)]) {
    if (text.starts_with(piece)) return piece.size();
  }
  return 0;
}

// The text that is cut into pieces: valid UTF-8, spaces as the model has them.
std::string SentencePieceTokenizer::Normalize(std::string_view text) const {
  const std::string_view space = model.escape_whitespaces ? kSpaceSymbol : " ";
  if (model.remove_extra_whitespaces) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  if (text.empty()) return {};
  std::string normal;
  normal.reserve(text.size() + text.size() / 2);
  if (model.add_dummy_prefix) normal += space;
  bool after_space = model.remove_extra_whitespaces;
  while (!text.empty()) {
    std::size_t size = UserDefinedPrefix(text);
    if (size == 0) size = CharacterBytes(text);
    std::string_view character = size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
    if (after_space) {
      character.remove_prefix(std::min(character.find_first_not_of(' '), character.size()));
    }
    for (const char c : character) {
      if (c == ' ') {
        normal += space;
      } else {
        normal += c;
      }
    }
    if (!character.empty()) {
      after_space = model.remove_extra_whitespaces && character.ends_with(' ');
    }
  }
  while (model.remove_extra_whitespaces && normal.ends_with(space)) {
    normal.erase(normal.size() - space.size());
  }
  return normal;
}

std::vector<int> SentencePieceTokenizer::Encode(std::string_view text,
                                                bool find_special,
                                                bool) const {
  std::vector<int> ids;
  added.CutAt(
      text,
      find_special,
      [&](int id) { ids.push_back(id); },
      [&](std::string_view part) { EncodePieces(part, &ids); });
  return ids;
}

void SentencePieceTokenizer::EncodePieces(std::string_view text, std::vector<int>* ids) const {
  const std::string normal = Normalize(text);
  BpeMerger merger(model, text_ids, normal);
  for (std::string_view rest = normal; !rest.empty();) {
    const std::size_t frozen = UserDefinedPrefix(rest);
    const std::size_t size = frozen > 0 ? frozen : CharacterBytes(rest);
    merger.AddSymbol(size, frozen > 0);
    rest.remove_prefix(size);
  }
  bool after_unknown = false;
  for (const std::string_view piece : merger.Merge()) {
    const int id = IdOf(piece);
    const bool unknown = id == unk_id;
    if (unknown && model.byte_fallback) {
      for (const char c : piece) {
        ids->push_back(byte_ids[static_cast<unsigned char>(c)]);
      }
    } else if (!(unknown && after_unknown)) {  // A run of unknown characters is one piece.
      ids->push_back(id);
    }
    after_unknown = unknown;
  }
}

// Bytes that byte pieces spell, those that are no UTF-8 as U+FFFD each.
void AppendBytes(std::string_view bytes, std::string* text) {
  while (!bytes.empty()) {
    const std::size_t size = CharacterBytes(bytes);
    *text += size == 0 ? kReplacement : bytes.substr(0, size);
    bytes.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

void AppendUnescaped(std::string_view piece, std::string* text) {
  while (!piece.empty()) {
    const std::size_t at = std::min(piece.find(kSpaceSymbol), piece.size());
    text->append(piece.substr(0, at));
    if (at < piece.size()) *text += ' ';
    piece.remove_prefix(std::min(at + kSpaceSymbol.size(), piece.size()));
  }
}

std::string SentencePieceTokenizer::Decode(std::span<const int> ids) const {
  const bool strips = model.add_dummy_prefix || model.remove_extra_whitespaces;
  std::string text, bytes;
  bool at_start =
      true;  // Nothing but control pieces and, with extra spaces removed, spaces so far.
  for (const int id : ids) {
    const auto other = beside.find(id);
    const bool known = id >= 0 && id < std::ssize(model.pieces);
    PieceType type = known ? Type(id) : PieceType::kUnknown;
    std::string_view piece = known ? Piece(id) : std::string_view();
    if (other != beside.end()) {
      type = other->second.special ? PieceType::kControl : PieceType::kUserDefined;
      piece = other->second.token.text;
    }
    if (type == PieceType::kByte) {
      bytes += static_cast<char>(ByteValue(piece));
      continue;
    }
    AppendBytes(std::exchange(bytes, {}), &text);
    at_start = at_start && text.empty();
    if (type == PieceType::kControl) continue;
    if (type == PieceType::kUnknown) {
      text += model.unknown_surface;
      continue;
    }
    if (at_start && strips && piece.starts_with(kSpaceSymbol)) {
      piece.remove_prefix(kSpaceSymbol.size());
      at_start = model.remove_extra_whitespaces;
    }
    AppendUnescaped(piece, &text);
  }
  AppendBytes(bytes, &text);
  return text;
}

std::string_view SentencePieceTokenizer::Piece(int id) const {
  DASHF_CHECK(id >= 0 && id < vocab_size());
  if (const auto other = beside.find(id); other != beside.end()) return other->second.token.text;
  if (id >= std::ssize(model.pieces)) return {};  // No token has this id.
  return model.pieces[static_cast<std::size_t>(id)].text;
}

}  // namespace

Expected<std::shared_ptr<TokenizerModel>> ParseSentencePieceTokenizer(
    const std::string& name, std::string_view bytes, const TokenizerConfig& config) {
  auto model = ParseSentencePieceModel(name, bytes);
  if (!model) return tl::unexpected(model.error());
  const auto tokenizer = std::make_shared<SentencePieceTokenizer>();
  tokenizer->model = *std::move(model);
  if (auto indexed = tokenizer->Index(name); !indexed) return tl::unexpected(indexed.error());
  if (auto added = tokenizer->AddBeside(config.added); !added) {
    return Fail(ErrorKind::kBadInput, name, added.error().Text());
  }
  return tokenizer;
}

}  // namespace dashf::corpus
