#include "gguf/tokenizer_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <vector>

#include "gguf/metadata.h"

namespace dashf::gguf {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kTokensMax = 4'000'000;
constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kMerges = "tokenizer.ggml.merges";

// llama.cpp's, and SentencePiece's, kinds of token.
enum TokenType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// The expressions of the families' own tokenizer.json.
constexpr const char* kLlama3Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Words { kGpt2, kLlama3, kQwen2, kSmolLm };
struct PreTokenizer {
  std::string_view name;
  Words words;
};
// The names under which llama.cpp cuts text as the four do.
constexpr PreTokenizer kPreTokenizers[] = {{"gpt-2", Words::kGpt2},
                                           {"gpt2", Words::kGpt2},
                                           {"phi-2", Words::kGpt2},
                                           {"llama3", Words::kLlama3},
                                           {"llama-v3", Words::kLlama3},
                                           {"llama-bpe", Words::kLlama3},
                                           {"qwen2", Words::kQwen2},
                                           {"deepseek-r1-qwen", Words::kQwen2},
                                           {"smollm", Words::kSmolLm}};

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
};

Vocabulary ReadVocabulary(MetadataReader* metadata) {
  Vocabulary vocabulary{.tokens = metadata->Texts(kTokens), .types = {}};
  if (vocabulary.tokens.size() > kTokensMax) {
    metadata->Refuse(kTokens, fmt::format("must be at most {}", kTokensMax));
  }
  vocabulary.types = metadata->Has(kTypes)
                         ? metadata->Integers(kTypes)
                         : std::vector<std::int64_t>(vocabulary.tokens.size(), kNormal);
  if (vocabulary.types.size() != vocabulary.tokens.size()) {
    metadata->Refuse(kTypes, fmt::format("must be {}", vocabulary.tokens.size()));
  }
  for (const std::int64_t type : vocabulary.types) {
    if (type < kNormal || type > kByte) {
      metadata->Refuse(kTypes, fmt::format("must be in [1, 6], got {}", type));
      break;
    }
  }
  return vocabulary;
}

// The token of an id key such as "bos_token_id"; empty where there is none.
std::string TokenOf(const char* key, const Vocabulary& vocabulary, MetadataReader* metadata) {
  const std::string whole = std::string("tokenizer.ggml.") + key;
  if (metadata->error() || vocabulary.tokens.empty() || !metadata->Has(whole)) return {};
  const std::int64_t id = metadata->Integer(whole, 0, std::ssize(vocabulary.tokens) - 1);
  return vocabulary.tokens[static_cast<std::size_t>(id)];
}

Json PreTokenizers(Words words) {
  const auto byte_level = [](bool cuts) {
    return Json{{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", cuts}};
  };
  const auto split = [](const char* expression) {
    return Json{{"type", "Split"},
                {"pattern", {{"Regex", expression}}},
                {"behavior", "Isolated"},
                {"invert", false}};
  };
  switch (words) {
    case Words::kGpt2:
      return byte_level(true);
    case Words::kSmolLm:
      return {
          {"type", "Sequence"},
          {"pretokenizers",
           Json::array({Json{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)})}};
    case Words::kLlama3:
    case Words::kQwen2:
      break;
  }
  return {{"type", "Sequence"},
          {"pretokenizers",
           Json::array(
               {split(words == Words::kLlama3 ? kLlama3Words : kQwen2Words), byte_level(false)})}};
}

// Hugging Face gives tokens that were added behind the vocabulary the ids after it. Special tokens
// that stand before its end are part of it as well.
std::size_t VocabularyEnd(const Vocabulary& vocabulary) {
  std::size_t end = vocabulary.types.size();
  while (end > 0 && vocabulary.types[end - 1] != kNormal) --end;
  return end;
}

Json PostProcessor(const std::string& bos, std::int64_t id) {
  const Json token = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const Json second = {{"SpecialToken", {{"id", bos}, {"type_id", 1}}}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({token, sequence("A", 0)})},
          {"pair", Json::array({token, sequence("A", 0), second, sequence("B", 1)})},
          {"special_tokens",
           {{bos, {{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}}}}}};
}

// Tokens that no text becomes, and those that text becomes whole.
Json AddedTokens(const Vocabulary& vocabulary) {
  Json added = Json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::int64_t type = vocabulary.types[id];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type != kUserDefined}});
  }
  return added;
}

Expected<std::string> ByteLevelFile(const File& file) {
  MetadataReader metadata(file);
  const Vocabulary vocabulary = ReadVocabulary(&metadata);
  const std::string pre = metadata.Text(kPre);
  const auto* const known = std::ranges::find(kPreTokenizers, pre, &PreTokenizer::name);
  if (known == std::end(kPreTokenizers)) {
    metadata.Refuse(kPre, fmt::format("\"{}\" is not read", pre));
  }
  const std::vector<std::string> merges = metadata.Texts(kMerges);
  const bool adds_bos = metadata.Flag("tokenizer.ggml.add_bos_token");
  const std::string bos = TokenOf("bos_token_id", vocabulary, &metadata);
  if (metadata.Flag("tokenizer.ggml.add_space_prefix")) {
    metadata.Refuse("tokenizer.ggml.add_space_prefix", "is not read with byte-level BPE");
  }
  if (metadata.error()) return tl::unexpected(*metadata.error());
  Json words = Json::object();
  const std::size_t end = VocabularyEnd(vocabulary);
  for (std::size_t id = 0; id < end; ++id) {
    if (words.contains(vocabulary.tokens[id])) {
      metadata.Refuse(kTokens, fmt::format("\"{}\" stands twice", vocabulary.tokens[id]));
      return tl::unexpected(*metadata.error());
    }
    words[vocabulary.tokens[id]] = id;
  }
  Json root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  root["added_tokens"] = AddedTokens(vocabulary);
  root["normalizer"] = known->words == Words::kQwen2 ? Json{{"type", "NFC"}} : Json(nullptr);
  root["pre_tokenizer"] = PreTokenizers(known->words);
  root["post_processor"] = nullptr;
  if (adds_bos && !bos.empty()) {
    root["post_processor"] =
        PostProcessor(bos, metadata.Integer("tokenizer.ggml.bos_token_id", 0, kTokensMax));
  }
  root["decoder"] = {{"type", "ByteLevel"},
                     {"add_prefix_space", true},
                     {"trim_offsets", true},
                     {"use_regex", true}};
  root["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", known->words == Words::kLlama3},
                   {"vocab", std::move(words)},
                   {"merges", merges}};
  return root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Protobuf's wire format, https://protobuf.dev/programming-guides/encoding/.
void AppendVarint(std::uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) *out += static_cast<char>(value | 0x80);
  *out += static_cast<char>(value);
}
void AppendNumber(std::uint32_t field, std::uint64_t value, std::string* out) {
  AppendVarint(field << 3, out);
  AppendVarint(value, out);
}
void AppendBytes(std::uint32_t field, std::string_view bytes, std::string* out) {
  AppendVarint(field << 3 | 2, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}
void AppendFloat(std::uint32_t field, float value, std::string* out) {
  AppendVarint(field << 3 | 5, out);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) *out += static_cast<char>(bits >> shift & 0xFFU);
}

// SentencePiece's ModelProto (sentencepiece_model.proto).
Expected<std::string> SentencePieceFile(const File& file) {
  MetadataReader metadata(file);
  const Vocabulary vocabulary = ReadVocabulary(&metadata);
  const std::vector<double> scores = metadata.Numbers(kScores);
  if (scores.size() != vocabulary.tokens.size()) {
    metadata.Refuse(kScores, fmt::format("must be {}", vocabulary.tokens.size()));
  }
  const auto flag = [&](const char* key, bool otherwise) {
    return metadata.Has(key) ? metadata.Flag(key) : otherwise;
  };
  const bool space = flag("tokenizer.ggml.add_space_prefix", true);
  const bool removes = flag("tokenizer.ggml.remove_extra_whitespaces", false);
  const std::string bos = TokenOf("bos_token_id", vocabulary, &metadata);
  const std::string eos = TokenOf("eos_token_id", vocabulary, &metadata);
  if (metadata.error()) return tl::unexpected(*metadata.error());
  std::string out;
  bool bytes = false;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    std::string piece;
    AppendBytes(1, vocabulary.tokens[i], &piece);
    AppendFloat(2, static_cast<float>(scores[i]), &piece);
    AppendNumber(3, static_cast<std::uint64_t>(vocabulary.types[i]), &piece);
    AppendBytes(1, piece, &out);
    bytes = bytes || vocabulary.types[i] == kByte;
  }
  std::string trainer;
  AppendNumber(3, 2, &trainer);  // BPE.
  AppendNumber(4, vocabulary.tokens.size(), &trainer);
  AppendNumber(35, bytes ? 1 : 0, &trainer);
  const auto unknown = std::ranges::find(vocabulary.types, std::int64_t{kUnknown});
  if (unknown != vocabulary.types.end()) {
    const auto id = static_cast<std::size_t>(unknown - vocabulary.types.begin());
    AppendNumber(40, id, &trainer);
    AppendBytes(45, vocabulary.tokens[id], &trainer);
  }
  AppendBytes(46, bos, &trainer);
  AppendBytes(47, eos, &trainer);
  AppendBytes(2, trainer, &out);
  std::string normalizer;
  AppendBytes(1, "identity", &normalizer);
  AppendNumber(3, space ? 1 : 0, &normalizer);
  AppendNumber(4, removes ? 1 : 0, &normalizer);
  AppendNumber(5, 1, &normalizer);
  AppendBytes(3, normalizer, &out);
  return out;
}

std::string ModelKind(const File& file) {
  const auto found = file.metadata().find(kModel);
  if (found == file.metadata().end()) return {};
  const auto* kind = std::get_if<std::string>(&found->second);
  return kind == nullptr ? std::string() : *kind;
}

}  // namespace

std::string_view TokenizerFileName(const File& file) {
  const std::string kind = ModelKind(file);
  if (kind == "gpt2") return "tokenizer.json";
  return kind == "llama" ? "tokenizer.model" : "";
}

Expected<std::string> TokenizerFile(const File& file) {
  const std::string kind = ModelKind(file);
  if (kind == "gpt2") return ByteLevelFile(file);
  if (kind == "llama") return SentencePieceFile(file);
  return Fail(ErrorKind::kBadInput,
              file.name() + ": " + kModel,
              fmt::format("must be \"gpt2\" or \"llama\", got \"{}\"", kind));
}

Expected<std::string> TokenizerConfigJson(const File& file) {
  MetadataReader metadata(file);
  const Vocabulary vocabulary = ReadVocabulary(&metadata);
  Json json = Json::object();
  json["add_bos_token"] = metadata.Has("tokenizer.ggml.add_bos_token")
                              ? metadata.Flag("tokenizer.ggml.add_bos_token")
                              : ModelKind(file) == "llama";
  json["add_eos_token"] = metadata.Flag("tokenizer.ggml.add_eos_token");
  for (const auto& [key, token] : {std::pair{"bos_token_id", "bos_token"},
                                   {"eos_token_id", "eos_token"},
                                   {"unknown_token_id", "unk_token"},
                                   {"padding_token_id", "pad_token"}}) {
    const std::string text = TokenOf(key, vocabulary, &metadata);
    if (!text.empty()) json[token] = text;
  }
  json["clean_up_tokenization_spaces"] = false;
  json["tokenizer_class"] =
      ModelKind(file) == "llama" ? "LlamaTokenizer" : "PreTrainedTokenizerFast";
  if (metadata.Has("tokenizer.chat_template")) {
    json["chat_template"] = metadata.Text("tokenizer.chat_template");
  }
  if (metadata.error()) return tl::unexpected(*metadata.error());
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dashf::gguf
