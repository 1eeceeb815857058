// Fine-tuning data of any kind, one sample a record, conversation or document, and the sequences of
// tokens that become of them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "corpus/chat.h"
#include "corpus/dataset.h"
#include "corpus/example.h"
#include "corpus/tokenizer.h"

namespace dashf::corpus {

struct Document {
  std::string text;

  friend bool operator==(const Document&, const Document&) = default;
};

using Sample = std::variant<Record, Conversation, Document>;

enum class DataFormat { kAlpaca, kChat, kDocuments, kText };
// "alpaca", "chat", "documents" or "text".
std::optional<DataFormat> DataFormatNamed(std::string_view name);

// The samples of one file, all of one kind. Without a format the content tells it: text that begins
// with '[' or '{' is JSON (an array or lines), whose first object has
//   "messages": [{"role", "content"}...], or "conversations": [{"from", "value"}...]  (chat),
//   "text"                                                                            (documents),
//   or else "instruction" and "output"                                                (Alpaca);
// anything else is plain text, whose documents two empty lines part. kIo, or kBadInput that names
// file, line or place, and rule; no sample at all is refused.
Expected<std::vector<Sample>> ReadSamples(const std::string& path,
                                          std::optional<DataFormat> format = std::nullopt);
Expected<std::vector<Sample>> ParseSamples(const std::string& name,
                                           std::string_view bytes,
                                           std::optional<DataFormat> format = std::nullopt);

// A file of one conversation, which need not have an answer yet.
Expected<Conversation> ReadPrompt(const std::string& path);

// JSON lines; ParseSamples gives the same samples back (where they are UTF-8 and of one kind).
std::string WriteSamples(std::span<const Sample> samples);

// At most `tokens_max` >= 3 tokens each. Records as dataset.h has them; conversations in the form
// of `chat`, which else holds why there is none, told where a conversation needs one; documents as
// BOS, text, EOS, every token after the first counted. A document that is too long becomes several
// sequences, each of which begins with the last token of the one before, so that every token is
// counted once. kBadInput names the sample.
Expected<std::vector<Example>> TokenizeSamples(std::span<const Sample> samples,
                                               const Tokenizer& tokenizer,
                                               const Expected<ChatTemplate>& chat,
                                               int tokens_max);

}  // namespace dashf::corpus
