#include "corpus/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "corpus/bpe_merger.h"
#include "corpus/byte_level_tokenizer.h"
#include "corpus/sentencepiece_model.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"
#include "corpus/utf8.h"

namespace dashf::corpus {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581.
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.
constexpr std::uint64_t kModelBytesMax = std::uint64_t{1} << 28;

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

  std::vector<int> Encode(std::string_view text, bool find_special) const override;
  std::string Decode(std::span<const int> ids) const override;
  std::string_view Piece(int id) const override;
  int vocab_size() const override { return static_cast<int>(model.pieces.size()); }
  int SpecialId(std::string_view text) const override { return ControlId(text); }
  bool adds_space() const override { return model.add_dummy_prefix; }

  Expected<void> Index(const std::string& name);
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
  bos_id = ControlId(model.bos_piece);
  eos_id = ControlId(model.eos_piece);
  return {};
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

std::vector<int> SentencePieceTokenizer::Encode(std::string_view text, bool) const {
  const std::string normal = Normalize(text);
  BpeMerger merger(model, text_ids, normal);
  for (std::string_view rest = normal; !rest.empty();) {
    const std::size_t frozen = UserDefinedPrefix(rest);
    const std::size_t size = frozen > 0 ? frozen : CharacterBytes(rest);
    merger.AddSymbol(size, frozen > 0);
    rest.remove_prefix(size);
  }
  std::vector<int> ids;
  bool after_unknown = false;
  for (const std::string_view piece : merger.Merge()) {
    const int id = IdOf(piece);
    const bool unknown = id == unk_id;
    if (unknown && model.byte_fallback) {
      for (const char c : piece) {
        ids.push_back(byte_ids[static_cast<unsigned char>(c)]);
      }
    } else if (!(unknown && after_unknown)) {  // A run of unknown characters is one piece.
      ids.push_back(id);
    }
    after_unknown = unknown;
  }
  return ids;
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
    const bool known = id >= 0 && id < vocab_size();
    const PieceType type = known ? Type(id) : PieceType::kUnknown;
    std::string_view piece = known ? Piece(id) : std::string_view();
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
  return model.pieces[static_cast<std::size_t>(id)].text;
}

// What tokenizer_config.json calls the end of a text: a string, or an object with its content.
Expected<std::string> EndToken(const std::string& path) {
  Expected<JsonDocument> document = JsonDocument::ReadFile(path, kModelBytesMax);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (!root.Has("eos_token") || !root.HasValue("eos_token")) return std::string();
  const bool object = root.raw()["eos_token"].is_object();
  std::string token =
      object ? root.Object("eos_token").String("content") : root.String("eos_token");
  if (document->error()) return tl::unexpected(*document->error());
  return token;
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerModel> model) : model_(std::move(model)) {}

Expected<Tokenizer> Tokenizer::Load(const std::string& model_dir) {
  const std::filesystem::path folder = model_dir;
  std::error_code ignored;  // What cannot be looked at is for ReadFile to report.
  if (!std::filesystem::exists(folder / "tokenizer.model", ignored) &&
      std::filesystem::exists(folder / "tokenizer.json", ignored)) {
    return LoadByteLevel(model_dir);
  }
  const std::string path = folder / "tokenizer.model";
  const auto bytes = ReadFile(path, kModelBytesMax);
  if (!bytes) return tl::unexpected(bytes.error());
  return Parse(path, *bytes);
}

Expected<Tokenizer> Tokenizer::LoadByteLevel(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  const auto bytes = ReadFile(path, kModelBytesMax);
  if (!bytes) return tl::unexpected(bytes.error());
  auto model = ParseTokenizerJson(path, *bytes);
  if (!model) return tl::unexpected(model.error());
  const std::string config = model_dir + "/tokenizer_config.json";
  int eos_id = -1;
  std::error_code ignored;
  if (std::filesystem::exists(config, ignored)) {
    const auto end = EndToken(config);
    if (!end) return tl::unexpected(end.error());
    for (const AddedToken& token : model->added) {
      if (token.text == *end) eos_id = token.id;
    }
    if (eos_id < 0 && !end->empty()) {
      return Fail(
          ErrorKind::kBadInput, config, "eos_token is none of tokenizer.json's added tokens");
    }
  }
  return Tokenizer(MakeByteLevelTokenizer(std::move(*model), eos_id));
}

Expected<Tokenizer> Tokenizer::Parse(const std::string& name, std::string_view bytes) {
  auto model = ParseSentencePieceModel(name, bytes);
  if (!model) return tl::unexpected(model.error());
  const auto tokenizer = std::make_shared<SentencePieceTokenizer>();
  tokenizer->model = *std::move(model);
  if (auto indexed = tokenizer->Index(name); !indexed) return tl::unexpected(indexed.error());
  return Tokenizer(tokenizer);
}

std::vector<int> Tokenizer::Encode(std::string_view text, bool add_bos) const {
  std::vector<int> ids = model_->Encode(text, /*find_special=*/true);
  if (add_bos && bos_id() >= 0) ids.insert(ids.begin(), bos_id());
  return ids;
}

std::vector<int> Tokenizer::EncodeText(std::string_view text) const {
  return model_->Encode(text, /*find_special=*/false);
}

std::string Tokenizer::Decode(std::span<const int> ids) const {
  return model_->Decode(ids);
}
std::string_view Tokenizer::Piece(int id) const {
  return model_->Piece(id);
}
int Tokenizer::vocab_size() const {
  return model_->vocab_size();
}
int Tokenizer::SpecialId(std::string_view text) const {
  return model_->SpecialId(text);
}
bool Tokenizer::adds_space() const {
  return model_->adds_space();
}
int Tokenizer::unk_id() const {
  return model_->unk_id;
}
int Tokenizer::bos_id() const {
  return model_->bos_id;
}
int Tokenizer::eos_id() const {
  return model_->eos_id;
}

}  // namespace dashf::corpus
