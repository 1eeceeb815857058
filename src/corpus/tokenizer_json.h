// The file `tokenizer.json` of Hugging Face's tokenizers, where it describes a BPE: over bytes
// (Llama 3, GPT-2, Qwen, SmolLM) or over characters with byte fallback (Llama 2, Mistral, Gemma).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "corpus/word_splitter.h"

namespace dashf::corpus {

struct AddedToken {
  std::string text;  // Not empty. Found in a text before anything else is done to it.
  int id = 0;
  bool normalized = false;  // Found after normalisation instead.
  bool left_strip = false;  // With the white space before it, and behind it.
  bool right_strip = false;
};

// What is done to a text, in this order, before it is cut.
struct NormalStep {
  enum class Kind { kNfc, kPrepend, kReplace } kind = Kind::kNfc;
  std::string from = {};  // Not empty, of kReplace.
  std::string to = {};
};

// Spaces as symbols, each at the beginning of its word.
struct Metaspace {
  std::string symbol;
  enum class Prepend { kAlways, kFirst, kNever } prepend = Prepend::kAlways;
  bool split = true;  // A word ends before each symbol.
};

// What becomes of tokens' texts on the way back.
struct BpeDecoder {
  std::string space_symbol;   // Stands for a space; empty: none.
  bool strips_space = false;  // The first one of the text.
  bool byte_fallback = false;
};

struct BpeModel {
  std::vector<std::string> pieces;  // By id: bytes, or characters as the file has them; else empty.
  std::vector<bool> special;        // By id: decodes to nothing.
  std::vector<int> byte_ids;        // 256: the token of each byte, or -1.
  std::vector<int> words;           // Ids of the vocabulary, without what was only added.
  struct Merge {
    int left, right, merged;
  };
  std::vector<Merge> merges;  // By rank.
  std::vector<AddedToken> added;
  std::vector<NormalStep> normal_steps;
  std::vector<WordRule> rules;
  std::vector<Metaspace> metaspace;  // At most one.
  bool byte_level = true;            // A text's symbols are its bytes, else its characters.
  bool byte_fallback = false;        // Characters without a token are their bytes' tokens.
  bool fuse_unk = false;             // A run of unknown symbols is one.
  bool ignore_merges = false;  // A word that is a token is that token, whatever merging gives.
  int unk_id = -1;             // -1: what has no token is left out.
  int bos_id = -1;             // The token that the post-processor puts in front.
  BpeDecoder decoder;
};

// kBadInput names the place and the rule; other kinds of model, normaliser or pre-tokenizer are
// refused by name. `name` is the place that errors name.
Expected<BpeModel> ParseTokenizerJson(const std::string& name, std::string_view bytes);

}  // namespace dashf::corpus
