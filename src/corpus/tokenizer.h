// Text to token ids and back: SentencePiece BPE models (`tokenizer.model`), as Llama 1 and 2,
// TinyLlama and Mistral ship them, and the BPE of `tokenizer.json`, over bytes as Llama 3, GPT-2,
// Qwen and SmolLM have it, or over characters as Llama 2, Mistral and Gemma do. Ids equal those of
// `spm_encode` for every byte string, and those of Hugging Face's tokenizers. Merging: Kudo and
// Richardson 2018 (arXiv:1808.06226), section 3.1, O(n log n).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf::corpus {

class TokenizerModel;  // Internal; corpus/tokenizer_model.h.

// Immutable and cheap to copy; safe from any thread.
class Tokenizer {
 public:
  // Reads `<model_dir>/tokenizer.model`, or, where that is missing or no SentencePiece model (but
  // tiktoken's), tokenizer.json; with the tokens that added_tokens.json and tokenizer_config.json
  // add to the former. kIo if absent; kBadInput names what is broken or what kind of model is not
  // supported (unigram, word, char; normalisation other than "identity").
  static Expected<Tokenizer> Load(const std::string& model_dir);
  // A tokenizer.model's bytes; `name` is the place that errors name.
  static Expected<Tokenizer> Parse(const std::string& name, std::string_view bytes);

  // Any bytes; each byte that is not part of valid UTF-8 is read as U+FFFD. Control pieces in the
  // text ("<s>") are plain text to SentencePiece, but tokenizer.json's added tokens are found. With
  // `add_bos`, bos_id() comes first where the model has one.
  std::vector<int> Encode(std::string_view text, bool add_bos) const;
  // The same without BOS, and without looking for special tokens: those of tokenizer.json are plain
  // text here as well. What strangers wrote is read so, so that no text ends a turn or begins one.
  // `at_start`: the text begins the sequence; some tokenizers put a space in front of that alone.
  std::vector<int> EncodeText(std::string_view text, bool at_start = true) const;
  // The text of ids. Control pieces give nothing, ids outside the vocabulary the unknown piece's
  // text. The space that Encode puts in front of a text is taken away again.
  std::string Decode(std::span<const int> ids) const;

  std::string_view Piece(int id) const;  // 0 <= id < vocab_size().
  int vocab_size() const;
  // The token that no text becomes, such as "<s>" or "<|eot_id|>"; -1 where there is none.
  int SpecialId(std::string_view text) const;
  struct SpecialToken {
    std::string text;
    int id;
  };
  // All that SpecialId knows.
  std::span<const SpecialToken> special_tokens() const { return *special_tokens_; }
  bool adds_space() const;  // Encode puts a space in front of every text.
  int unk_id() const;
  int bos_id() const;  // -1 where the model has none.
  // What ends an answer that is learnt, by one rule: the first that tells of the eos_token of
  // tokenizer_config.json and special_tokens_map.json, the eos_token_id of config.json and
  // generation_config.json, and the tokenizer's file. -1: none does.
  int eos_id() const;
  // All that these name: a generated text ends at any of them.
  const std::vector<int>& stop_ids() const;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerModel> model);

  std::shared_ptr<const TokenizerModel> model_;
  std::shared_ptr<const std::vector<SpecialToken>> special_tokens_;
};

}  // namespace dashf::corpus
