#include "corpus/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <unordered_map>

#include "base/json.h"
#include "base/utf8.h"

namespace dashf::corpus {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kTokensMax = 4'000'000;

// The expressions of the families' files, as they stand there.
constexpr std::pair<std::string_view, WordRule> kExpressions[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     WordRule::kGpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordRule::kLlama3},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordRule::kQwen2},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordRule::kTekken},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordRule::kGpt4o},
};

// The byte that a character stands for in a byte-level vocabulary (GPT-2's bytes_to_unicode):
// printable Latin-1 characters for themselves, U+0100 onwards for the others in order. -1: none.
struct ByteAlphabet {
  ByteAlphabet() {
    byte_of.fill(-1);
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
      byte_of[static_cast<std::size_t>(printable ? byte : next++)] = byte;
    }
  }
  std::array<int, 0x200> byte_of;
};

// The bytes of a token as the vocabulary spells it; the text itself and false if it is no such
// spelling.
std::pair<std::string, bool> BytesOf(const std::string& token) {
  static const ByteAlphabet alphabet;
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    const std::size_t size = CharacterBytes(rest);
    const auto lead = static_cast<unsigned char>(rest[0]);
    int code = -1;
    if (size == 1) code = lead;
    if (size == 2) code = ((lead & 0x1F) << 6) | (static_cast<unsigned char>(rest[1]) & 0x3F);
    const int byte =
        code >= 0 && code < 0x200 ? alphabet.byte_of[static_cast<std::size_t>(code)] : -1;
    if (byte < 0) return {token, false};
    bytes += static_cast<char>(byte);
    rest.remove_prefix(size);
  }
  return {bytes, true};
}

const Json* Find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool Flag(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string Text(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// Reads one file; keeps the first broken rule.
class Reader {
 public:
  Reader(const std::string& name, const Json& root) : name_(name), root_(root) {}
  Expected<BpeModel> Read();

 private:
  void Refuse(const std::string& place, std::string rule) {
    if (!error_) error_ = Error{ErrorKind::kBadInput, name_ + ": " + place, std::move(rule)};
  }
  int ReadId(const std::string& place, const Json* id);
  void SetPiece(const std::string& place, int id, std::string bytes);
  void ReadVocabulary(const Json& model);
  void ReadMerges(const Json& model);
  void ReadModel();
  void ReadAddedTokens();
  void ReadNormalizer(const std::string& place, const Json& part);
  void ReadPreTokenizer(const std::string& place, const Json& part, bool last);
  void ReadSplit(const std::string& place, const Json& part);
  void ReadMetaspace(const std::string& place, const Json& part);
  void ReadDecoder(const std::string& place, const Json& part);
  void ReadPostProcessor(const Json& part);

  std::string name_;
  const Json& root_;
  BpeModel model_;
  std::unordered_map<std::string_view, int> ids_;  // Of the vocabulary's own spelling.
  std::int64_t ids_max_ = 0;  // A few holes are normal; a small file must not claim much room.
  std::optional<Error> error_;
};

int Reader::ReadId(const std::string& place, const Json* id) {
  if (id != nullptr && id->is_number_integer()) {
    const auto value = id->get<std::int64_t>();
    if (value >= 0 && value < ids_max_) return static_cast<int>(value);
  }
  Refuse(place, fmt::format("the id must be in [0, {})", ids_max_));
  return 0;
}

void Reader::SetPiece(const std::string& place, int id, std::string bytes) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= model_.pieces.size()) model_.pieces.resize(index + 1);
  if (!model_.pieces[index].empty() && model_.pieces[index] != bytes) {
    return Refuse(place, fmt::format("id {} has another token already", id));
  }
  model_.pieces[index] = std::move(bytes);
}

void Reader::ReadVocabulary(const Json& model) {
  const Json* vocabulary = Find(model, "vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    return Refuse("model.vocab", "must be an object");
  }
  const Json* added = Find(root_, "added_tokens");
  const std::size_t tokens = vocabulary->size() + (added == nullptr ? 0 : added->size());
  if (tokens > kTokensMax) Refuse("model.vocab", fmt::format("must be at most {}", kTokensMax));
  ids_max_ = 2 * static_cast<std::int64_t>(tokens) + 1000;
  model_.byte_ids.assign(256, -1);
  for (const auto& [token, value] : vocabulary->items()) {
    const int id = ReadId("model.vocab." + token, &value);
    if (token.empty()) Refuse("model.vocab", "a token must not be empty");
    if (error_) return;
    ids_.emplace(token, id);
    auto [bytes, spelled] = BytesOf(token);
    if (!model_.byte_level) bytes = token;
    if (spelled || !model_.byte_level) model_.words.push_back(id);
    if (model_.byte_level && spelled && bytes.size() == 1) {
      model_.byte_ids[static_cast<unsigned char>(bytes[0])] = id;
    }
    SetPiece("model.vocab." + token, id, std::move(bytes));
  }
  for (int byte = 0; byte < 256 && model_.byte_fallback; ++byte) {
    const auto found = ids_.find(fmt::format("<0x{:02X}>", byte));
    if (found != ids_.end()) model_.byte_ids[static_cast<std::size_t>(byte)] = found->second;
  }
}

void Reader::ReadMerges(const Json& model) {
  const Json* merges = Find(model, "merges");
  if (merges == nullptr || !merges->is_array()) return Refuse("model.merges", "must be a list");
  const auto id_of = [&](const std::string& place, const std::string& token) {
    const auto found = ids_.find(token);
    if (found == ids_.end()) Refuse(place, fmt::format("\"{}\" is not in the vocabulary", token));
    return found == ids_.end() ? 0 : found->second;
  };
  for (std::size_t i = 0; i < merges->size() && !error_; ++i) {
    const Json& merge = (*merges)[i];
    const std::string place = fmt::format("model.merges[{}]", i);
    std::string left, right;
    if (merge.is_string()) {  // "left right", as older files have it.
      const std::string both = merge.get<std::string>();
      const std::size_t space = both.find(' ');
      left = both.substr(0, space);
      right = space == std::string::npos ? "" : both.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    }
    if (left.empty() || right.empty()) return Refuse(place, "must be two tokens");
    model_.merges.push_back({id_of(place, left), id_of(place, right), id_of(place, left + right)});
  }
}

void Reader::ReadModel() {
  const Json* model = Find(root_, "model");
  if (model == nullptr || !model->is_object()) return Refuse("model", "must be an object");
  const std::string type = Text(*model, "type");
  if (!type.empty() && type != "BPE") {
    return Refuse("model.type", fmt::format("only \"BPE\" is supported, got \"{}\"", type));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!Text(*model, key).empty()) Refuse(fmt::format("model.{}", key), "is not supported");
  }
  if (const Json* dropout = Find(*model, "dropout"); dropout != nullptr && *dropout != 0.0) {
    Refuse("model.dropout", "is not supported");
  }
  model_.byte_fallback = !model_.byte_level && Flag(*model, "byte_fallback");
  model_.fuse_unk = Flag(*model, "fuse_unk");
  model_.ignore_merges = Flag(*model, "ignore_merges");
  if (error_) return;
  ReadVocabulary(*model);
  if (const std::string unknown = Text(*model, "unk_token"); !unknown.empty() && !error_) {
    const auto found = ids_.find(unknown);
    if (found == ids_.end()) return Refuse("model.unk_token", "is not in the vocabulary");
    model_.unk_id = found->second;
  }
  if (!error_) ReadMerges(*model);
}

void Reader::ReadAddedTokens() {
  const Json* tokens = Find(root_, "added_tokens");
  if (tokens == nullptr) return;
  if (!tokens->is_array()) return Refuse("added_tokens", "must be a list");
  for (std::size_t i = 0; i < tokens->size() && !error_; ++i) {
    const Json& token = (*tokens)[i];
    const std::string place = fmt::format("added_tokens[{}]", i);
    AddedToken added{.text = Text(token, "content"),
                     .id = ReadId(place, Find(token, "id")),
                     .normalized = Flag(token, "normalized"),
                     .left_strip = Flag(token, "lstrip"),
                     .right_strip = Flag(token, "rstrip")};
    if (added.text.empty()) Refuse(place + ".content", "must not be empty");
    if (Flag(token, "single_word")) Refuse(place + ".single_word", "is not supported");
    if (error_) return;
    SetPiece(place, added.id, model_.byte_level ? BytesOf(added.text).first : added.text);
    model_.special.resize(model_.pieces.size());
    if (Flag(token, "special")) model_.special[static_cast<std::size_t>(added.id)] = true;
    model_.added.push_back(std::move(added));
  }
}

void Reader::ReadNormalizer(const std::string& place, const Json& part) {
  const std::string type = Text(part, "type");
  if (type == "Sequence") {
    const Json* parts = Find(part, "normalizers");
    if (parts == nullptr || !parts->is_array()) return Refuse(place, "must have normalizers");
    for (std::size_t i = 0; i < parts->size() && !error_; ++i) {
      ReadNormalizer(fmt::format("{}.normalizers[{}]", place, i), (*parts)[i]);
    }
  } else if (type == "NFC") {
    model_.normal_steps.push_back({.kind = NormalStep::Kind::kNfc});
  } else if (type == "Prepend") {
    model_.normal_steps.push_back(
        {.kind = NormalStep::Kind::kPrepend, .to = Text(part, "prepend")});
  } else if (type == "Replace") {
    const Json* pattern = Find(part, "pattern");
    const std::string from = pattern == nullptr ? "" : Text(*pattern, "String");
    if (from.empty()) return Refuse(place + ".pattern", "only a String is supported");
    model_.normal_steps.push_back(
        {.kind = NormalStep::Kind::kReplace, .from = from, .to = Text(part, "content")});
  } else {
    Refuse(place,
           fmt::format("only \"NFC\", \"Prepend\", \"Replace\" and sequences of them are "
                       "supported, got \"{}\"",
                       type));
  }
}

void Reader::ReadSplit(const std::string& place, const Json& part) {
  const Json* pattern = Find(part, "pattern");
  const std::string expression = pattern == nullptr ? "" : Text(*pattern, "Regex");
  const bool spaces_are_gone = std::ranges::any_of(model_.normal_steps, [](const NormalStep& step) {
    return step.from == " " && step.to.find(' ') == std::string::npos;
  });
  // Gemma's: nothing to split at is left.
  if (pattern != nullptr && Text(*pattern, "String") == " " && spaces_are_gone) return;
  const auto known = std::ranges::find(
      kExpressions, expression, [](const auto& expected) { return expected.first; });
  if (known == std::end(kExpressions) || Text(part, "behavior") != "Isolated" ||
      Flag(part, "invert")) {
    return Refuse(place,
                  fmt::format("only the isolated splits of GPT-2, GPT-4o, Llama 3, Qwen2 "
                              "and Mistral are supported, got {}",
                              part.dump()));
  }
  model_.rules.push_back(known->second);
}

void Reader::ReadMetaspace(const std::string& place, const Json& part) {
  Metaspace metaspace{.symbol = Text(part, "replacement")};
  const std::string scheme = Text(part, "prepend_scheme");
  const Json* space = Find(part, "add_prefix_space");  // As older files say it.
  if (scheme == "never" || (scheme.empty() && space != nullptr && *space == false)) {
    metaspace.prepend = Metaspace::Prepend::kNever;
  } else if (scheme == "first") {
    metaspace.prepend = Metaspace::Prepend::kFirst;
  } else if (scheme != "always" && !scheme.empty()) {
    Refuse(place + ".prepend_scheme", "must be \"always\", \"first\" or \"never\"");
  }
  const Json* split = Find(part, "split");
  metaspace.split = split == nullptr || *split != false;
  if (metaspace.symbol.empty()) Refuse(place + ".replacement", "must not be empty");
  model_.metaspace.push_back(std::move(metaspace));
}

void Reader::ReadPreTokenizer(const std::string& place, const Json& part, bool last) {
  const std::string type = Text(part, "type");
  if (type == "Sequence") {
    const Json* parts = Find(part, "pretokenizers");
    if (parts == nullptr || !parts->is_array()) return Refuse(place, "must have pretokenizers");
    for (std::size_t i = 0; i < parts->size() && !error_; ++i) {
      const std::string inner = fmt::format("{}.pretokenizers[{}]", place, i);
      if (Text((*parts)[i], "type") == "Sequence") return Refuse(inner, "must not be a Sequence");
      ReadPreTokenizer(inner, (*parts)[i], i + 1 == parts->size());
    }
  } else if (type == "Split") {
    ReadSplit(place, part);
  } else if (type == "Digits") {
    model_.rules.push_back(Flag(part, "individual_digits") ? WordRule::kDigitsOneByOne
                                                           : WordRule::kDigits);
  } else if (type == "ByteLevel" && last) {
    model_.byte_level = true;
    if (Flag(part, "add_prefix_space")) Refuse(place + ".add_prefix_space", "is not supported");
    const Json* expression = Find(part, "use_regex");  // Older files mean true.
    if (expression == nullptr || *expression != false) model_.rules.push_back(WordRule::kGpt2);
  } else if (type == "Metaspace" && model_.rules.empty() && model_.metaspace.empty()) {
    ReadMetaspace(place, part);
  } else {
    Refuse(place, fmt::format("\"{}\" is not supported here", type));
  }
}

// Of characters; what a byte-level file's has to say follows from its vocabulary.
void Reader::ReadDecoder(const std::string& place, const Json& part) {
  const std::string type = Text(part, "type");
  BpeDecoder& decoder = model_.decoder;
  if (type == "Sequence") {
    const Json* parts = Find(part, "decoders");
    if (parts == nullptr || !parts->is_array()) return Refuse(place, "must have decoders");
    for (std::size_t i = 0; i < parts->size() && !error_; ++i) {
      ReadDecoder(fmt::format("{}.decoders[{}]", place, i), (*parts)[i]);
    }
  } else if (type == "Metaspace") {
    decoder.space_symbol = Text(part, "replacement");
    const Json* space = Find(part, "add_prefix_space");
    decoder.strips_space =
        Text(part, "prepend_scheme") != "never" && (space == nullptr || *space != false);
  } else if (type == "Replace") {
    const Json* pattern = Find(part, "pattern");
    decoder.space_symbol = pattern == nullptr ? "" : Text(*pattern, "String");
    if (decoder.space_symbol.empty() || Text(part, "content") != " ") {
      Refuse(place, "only the replacement of a symbol by a space is supported");
    }
  } else if (type == "Strip") {
    const Json* start = Find(part, "start");
    decoder.strips_space = start != nullptr && *start == 1;
  } else if (type == "ByteFallback") {
    decoder.byte_fallback = true;
  } else if (type != "Fuse") {
    Refuse(place, fmt::format("\"{}\" is not supported", type));
  }
}

void Reader::ReadPostProcessor(const Json& part) {
  if (const Json* parts = Find(part, "processors"); parts != nullptr && parts->is_array()) {
    for (const Json& inner : *parts) {
      if (Text(inner, "type") != "Sequence") ReadPostProcessor(inner);
    }
  }
  const Json* single = Find(part, "single");
  if (single == nullptr || !single->is_array() || single->empty()) return;
  const Json* first = Find(single->front(), "SpecialToken");
  if (first == nullptr) return;
  const std::string token = Text(*first, "id");
  for (const AddedToken& added : model_.added) {
    if (added.text == token) model_.bos_id = added.id;
  }
}

Expected<BpeModel> Reader::Read() {
  model_.byte_level = false;
  if (const Json* part = Find(root_, "normalizer")) ReadNormalizer("normalizer", *part);
  if (const Json* part = Find(root_, "pre_tokenizer"); part != nullptr && !error_) {
    ReadPreTokenizer("pre_tokenizer", *part, true);
  }
  if (!error_) ReadModel();
  if (!error_) ReadAddedTokens();
  model_.special.resize(model_.pieces.size());
  if (!model_.byte_level && !error_) {
    const Json* part = Find(root_, "decoder");
    if (part == nullptr) Refuse("decoder", "must be there, as the model is not byte-level");
    if (part != nullptr) ReadDecoder("decoder", *part);
  }
  if (const Json* part = Find(root_, "post_processor")) ReadPostProcessor(*part);
  if (error_) return tl::unexpected(*error_);
  return std::move(model_);
}

}  // namespace

Expected<BpeModel> ParseTokenizerJson(const std::string& name, std::string_view bytes) {
  const Expected<JsonDocument> document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  return Reader(name, document->Root().raw()).Read();
}

}  // namespace dashf::corpus
