// How text is cut into words before bytes or characters are merged. Internal to this module.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace dashf::corpus {

// Each rule cuts the pieces of the one before.
enum class WordRule {
  kGpt2,    // The ByteLevel pre-tokenizer's own expression.
  kLlama3,  // Words with a leading symbol, numbers of up to three digits.
  kQwen2,   // The same with single digits.
  kTekken,  // Mistral's: words by their letters' case, single digits.
  kGpt4o,   // The same with contractions, numbers of up to three digits.
  kDigits,  // The Digits pre-tokenizer: runs of digits by themselves.
  kDigitsOneByOne,
};

// Cuts text where a rule's expression matches; what lies between matches is a piece, too. Safe from
// any thread.
class WordSplitter {
 public:
  explicit WordSplitter(WordRule rule);
  ~WordSplitter();
  WordSplitter(WordSplitter&&) noexcept;
  WordSplitter& operator=(WordSplitter&&) noexcept;

  // `text` is valid UTF-8.
  void Split(std::string_view text, std::vector<std::string_view>* pieces) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace dashf::corpus
