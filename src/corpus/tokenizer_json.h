// The file `tokenizer.json` of Hugging Face's tokenizers, where it describes a byte-level BPE:
// Llama 3, GPT-2, Qwen2 and their kin.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace dashf::corpus {

// How text is cut into words before merging; each rule cuts the pieces of the one before.
enum class WordRule {
  kGpt2,    // The ByteLevel pre-tokenizer's own expression.
  kLlama3,  // Words with a leading symbol, numbers of up to three digits.
  kQwen2,   // The same with single digits.
  kDigits,  // The Digits pre-tokenizer: runs of digits by themselves.
  kDigitsOneByOne,
};

struct AddedToken {
  std::string text;  // Not empty. Found in a text before anything else is done to it.
  int id = 0;
  bool normalized = false;  // Found after normalisation instead.
};

struct ByteLevelModel {
  std::vector<std::string> pieces;  // Bytes by id; empty where no token has the id.
  std::vector<bool> special;        // By id: decodes to nothing.
  std::vector<int> byte_ids;        // 256: the token of each byte.
  std::vector<int> words;           // Ids of the vocabulary, without what was only added.
  struct Merge {
    int left, right, merged;
  };
  std::vector<Merge> merges;  // By rank.
  std::vector<AddedToken> added;
  std::vector<WordRule> rules;
  bool nfc = false;            // Text is brought into Unicode's normal form C.
  bool ignore_merges = false;  // A word that is a token is that token, whatever merging gives.
  int bos_id = -1;             // The token that the post-processor puts in front.
};

// kBadInput names the place and the rule; other kinds of model, normaliser or pre-tokenizer are
// refused by name. `name` is the place that errors name.
Expected<ByteLevelModel> ParseTokenizerJson(const std::string& name, std::string_view bytes);

}  // namespace dashf::corpus
