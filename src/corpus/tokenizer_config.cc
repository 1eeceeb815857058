#include "corpus/tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/json.h"

namespace dashf::corpus {
namespace {

using gguf::ModelFolder;

constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 26;
constexpr std::int64_t kIdMax = std::int64_t{1} << 24;

// Reads one file of the folder, if it is there.
template <class Read>
Expected<void> ReadIfThere(const ModelFolder& folder, const char* name, const Read& read) {
  if (!folder.Has(name)) return {};
  const auto text = folder.Read(name, kBytesMax);
  if (!text) return tl::unexpected(text.error());
  const auto document = JsonDocument::Parse(folder.Place(name), *text);
  if (!document) return tl::unexpected(document.error());
  read(document->Root());
  if (document->error()) return tl::unexpected(*document->error());
  return {};
}

// A string, or an object with its content.
std::string TokenOf(JsonReader* object, const char* key) {
  if (!object->HasValue(key)) return {};
  if (object->raw()[key].is_object()) return object->Object(key).String("content");
  return object->String(key);
}

std::vector<int> IdsOf(JsonReader* object, const char* key) {
  std::vector<int> ids;
  if (!object->HasValue(key)) return ids;
  const auto add = [&ids](std::int64_t id) {
    if (id >= 0) ids.push_back(static_cast<int>(id));
  };
  if (object->HasArray(key)) {
    object->ForEach(key, [&](const JsonReader& id) { add(id.AsInteger(-1, kIdMax)); });
  } else {
    add(object->Integer(key, -1, kIdMax));
  }
  return ids;
}

void ReadEos(const std::string& place, JsonReader* object, TokenizerConfig* config) {
  if (!config->eos_token.empty()) return;
  config->eos_token = TokenOf(object, "eos_token");
  config->eos_place = place;
}

void ReadAddedTokens(JsonReader* object, std::map<int, TokenizerConfig::Added>* added) {
  if (!object->HasValue("added_tokens_decoder")) return;
  object->ForEachMember("added_tokens_decoder", [&](const std::string& key, JsonReader token) {
    int id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kIdMax) {
      return token.Reject("the key must be a token's id");
    }
    const auto flag = [&token](const char* name) {
      return token.HasValue(name) && token.Boolean(name);
    };
    TokenizerConfig::Added entry{.token = {.text = token.String("content"),
                                           .id = id,
                                           .left_strip = flag("lstrip"),
                                           .right_strip = flag("rstrip")},
                                 .special = flag("special")};
    if (entry.token.text.empty()) token.Reject("content", "must not be empty");
    added->insert_or_assign(id, std::move(entry));
  });
}

// The classes whose BOS is a matter of the configuration and not of the file's post-processor.
void ReadBos(JsonReader* object, TokenizerConfig* config) {
  config->bos_token = TokenOf(object, "bos_token");
  const std::string name = object->StringIfAny("tokenizer_class").value_or("");
  if (!name.starts_with("Llama") && !name.starts_with("Gemma")) return;
  config->add_bos = !object->HasValue("add_bos_token") || object->Boolean("add_bos_token");
}

// The token's id by its text, also where no special one has it; -1: none.
int IdOfText(const TokenizerModel& tokenizer, std::string_view text) {
  if (const int special = tokenizer.SpecialId(text); special >= 0) return special;
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.Piece(id) == text) return id;
  }
  return -1;
}

}  // namespace

Expected<TokenizerConfig> ReadTokenizerConfig(const ModelFolder& folder) {
  TokenizerConfig config;
  std::map<int, TokenizerConfig::Added> added;
  const char* const own = "tokenizer_config.json";
  const char* const map = "special_tokens_map.json";
  Expected<void> read = ReadIfThere(folder, own, [&](JsonReader root) {
    ReadEos(folder.Place(own), &root, &config);
    ReadBos(&root, &config);
    ReadAddedTokens(&root, &added);
  });
  if (read)
    read = ReadIfThere(
        folder, map, [&](JsonReader root) { ReadEos(folder.Place(map), &root, &config); });
  if (read) {
    read = ReadIfThere(folder, "added_tokens.json", [&](const JsonReader& root) {
      root.ForEachMember([&](const std::string& text, const JsonReader& id) {
        if (text.empty()) return id.Reject("a token must not be empty");
        const auto number = static_cast<int>(id.AsInteger(0, kIdMax));
        added.try_emplace(number, TokenizerConfig::Added{.token = {.text = text, .id = number}});
      });
    });
  }
  if (read) {
    read = ReadIfThere(folder, "config.json", [&](JsonReader root) {
      config.eos_ids = IdsOf(&root, "eos_token_id");
    });
  }
  if (read) {
    read = ReadIfThere(folder, "generation_config.json", [&](JsonReader root) {
      config.generation_eos_ids = IdsOf(&root, "eos_token_id");
    });
  }
  if (!read) return tl::unexpected(read.error());
  for (auto& [id, entry] : added) config.added.push_back(std::move(entry));
  return config;
}

Expected<void> SetEnds(const TokenizerConfig& config, TokenizerModel* tokenizer) {
  std::vector<int> told;
  if (!config.eos_token.empty()) {
    told.push_back(IdOfText(*tokenizer, config.eos_token));
    if (told.back() < 0) {
      return Fail(ErrorKind::kBadInput,
                  config.eos_place,
                  fmt::format("eos_token \"{}\" is no token of the tokenizer", config.eos_token));
    }
  }
  for (const auto& ids : {config.eos_ids, config.generation_eos_ids}) {
    for (const int id : ids) {
      if (id < tokenizer->vocab_size()) told.push_back(id);
    }
  }
  if (told.empty() && tokenizer->eos_id >= 0) told.push_back(tokenizer->eos_id);
  tokenizer->eos_id = told.empty() ? -1 : told.front();
  for (const int id : told) {
    if (std::ranges::find(tokenizer->stop_ids, id) == tokenizer->stop_ids.end()) {
      tokenizer->stop_ids.push_back(id);
    }
  }
  return {};
}

void SetBos(const TokenizerConfig& config, TokenizerModel* tokenizer) {
  if (!config.add_bos) return;
  const int named = config.bos_token.empty() ? -1 : IdOfText(*tokenizer, config.bos_token);
  if (!*config.add_bos) {
    tokenizer->bos_id = -1;
  } else if (named >= 0) {
    tokenizer->bos_id = named;
  }
}

}  // namespace dashf::corpus
