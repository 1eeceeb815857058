// What every kind of tokenizer does. Internal to this module.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dashf::corpus {

// Immutable once it is made, so safe from any thread. The methods are Tokenizer's (tokenizer.h);
// Encode puts no BOS, and looks for special tokens in the text only if it is to.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;
  virtual std::vector<int> Encode(std::string_view text,
                                  bool find_special,
                                  bool at_start) const = 0;
  virtual std::string Decode(std::span<const int> ids) const = 0;
  virtual std::string_view Piece(int id) const = 0;
  virtual int vocab_size() const = 0;
  virtual int SpecialId(std::string_view text) const = 0;
  virtual bool adds_space() const { return false; }

  int unk_id = -1;
  int bos_id = -1;
  int eos_id = -1;
  std::vector<int> stop_ids;
};

}  // namespace dashf::corpus
