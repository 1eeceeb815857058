// Fine-tuning data of any kind, one sample a record, conversation or document, and the sequences of
// tokens that become of them.
#pragma once

#include <optional>
#include <set>
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

// A text and how it goes on, without any form around them.
struct Completion {
  std::string prompt;
  std::string completion;

  friend bool operator==(const Completion&, const Completion&) = default;
};

using Sample = std::variant<Record, Conversation, Document, Completion>;

enum class DataFormat { kAlpaca, kChat, kCompletion, kDocuments, kText };
// "alpaca", "chat", "completion", "documents" or "text".
std::optional<DataFormat> DataFormatNamed(std::string_view name);
std::string_view Name(DataFormat format);
DataFormat FormatOf(const Sample& sample);  // Plain text is kDocuments here.

// What was taken of a data file, for who must be told.
struct DataReport {
  DataFormat format = DataFormat::kText;
  std::size_t samples = 0;
  std::size_t sequences = 0;   // Of tokens, that became of them.
  std::size_t shortened = 0;   // Those of which something was cut off.
  std::size_t unanswered = 0;  // Samples whose answers are all empty.
  int tokens_max = 0;
  std::set<std::string> ignored;  // Keys of records that nothing reads.
};
// "288 Alpaca records, 3 shortened to 256 tokens, 0 without an answer".
std::string Described(const DataReport& report);

// The samples of one file, all of one kind. Without a format the content tells it: text that begins
// with '[' or '{' is JSON (an array, lines, one object, or an object whose "data" is the array),
// whose first object has
//   "messages" or "conversations": [{"role" or "from", "content" or "value"}...]  (chat),
//   "prompt" and "completion", two texts or two lists of messages                  (completion),
//   "instruction" and "output"                                                     (Alpaca),
//   "text"                                                                         (documents);
// anything else is plain text, whose documents two empty lines part. kIo, or kBadInput that names
// file, line or place, and rule, and for files of other kinds how to convert them; no sample at all
// is refused. `report`, if given, gets the format, the count and the keys ignored.
Expected<std::vector<Sample>> ReadSamples(const std::string& path,
                                          std::optional<DataFormat> format = std::nullopt,
                                          DataReport* report = nullptr);
Expected<std::vector<Sample>> ParseSamples(const std::string& name,
                                           std::string_view bytes,
                                           std::optional<DataFormat> format = std::nullopt,
                                           DataReport* report = nullptr);

// A file of one conversation, which need not have an answer yet.
Expected<Conversation> ReadPrompt(const std::string& path);

// JSON lines; ParseSamples gives the same samples back (where they are UTF-8 and of one kind).
std::string WriteSamples(std::span<const Sample> samples);

// At most `tokens_max` >= 3 tokens each. Records as dataset.h has them; conversations in the form
// of `chat`, which else holds why there is none, told where a conversation needs one; completions
// as BOS, prompt, completion, EOS, the last two counted; documents as BOS, text, EOS, every token
// after the first counted. A document that is too long becomes several sequences, each of which
// begins with the last token of the one before, so that every token is counted once. kBadInput
// names the sample. `report`, if given, gets what was shortened and unanswered, added up.
Expected<std::vector<Example>> TokenizeSamples(std::span<const Sample> samples,
                                               const Tokenizer& tokenizer,
                                               const Expected<ChatTemplate>& chat,
                                               int tokens_max,
                                               DataReport* report = nullptr);

}  // namespace dashf::corpus
