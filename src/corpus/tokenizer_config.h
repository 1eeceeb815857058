// What stands beside a tokenizer in a model folder: which tokens were added to it, and which one
// ends a text. Internal to this module.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"
#include "gguf/model_folder.h"

namespace dashf::corpus {

struct TokenizerConfig {
  struct Added {
    AddedToken token;
    bool special = true;
  };
  std::vector<Added> added;  // By ascending id.

  std::string eos_token;  // By tokenizer_config.json, else special_tokens_map.json; empty: neither.
  std::string eos_place;  // Which file said so.
  std::vector<int> eos_ids;             // By config.json.
  std::vector<int> generation_eos_ids;  // By generation_config.json.

  // Whether BOS comes first, where the tokenizer's class decides it: those of Llama and Gemma.
  std::optional<bool> add_bos;
  std::string bos_token;
};

// Of tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json and
// generation_config.json, those that the folder has; ids below 0 tell nothing. kBadInput names file
// and rule.
Expected<TokenizerConfig> ReadTokenizerConfig(const gguf::ModelFolder& folder);

// The one rule for the end of an answer, in training as in scores and generation. eos_id, which
// ends what is learnt, is the first that is told of: tokenizer_config.json's eos_token,
// special_tokens_map.json's, config.json's (the first of several), generation_config.json's, the
// tokenizer file's own. stop_ids, any of which ends a generated text, are all of them. kBadInput
// if the file names a token that the tokenizer has not.
Expected<void> SetEnds(const TokenizerConfig& config, TokenizerModel* tokenizer);
void SetBos(const TokenizerConfig& config, TokenizerModel* tokenizer);

}  // namespace dashf::corpus
