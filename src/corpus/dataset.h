// Fine-tuning data: Alpaca records, the prompt they are put into, and token sequences whose loss
// counts the answer alone.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/tokenizer.h"

namespace dashf::corpus {

struct Record {
  std::string instruction;
  std::string input;  // May be empty.
  std::string output;

  friend bool operator==(const Record&, const Record&) = default;
};

// A JSON array of objects, or JSON lines (one object per line), decided by the first character that
// is not white space. Each object has "instruction" and "output", and may have "input"; further
// keys are ignored. kIo, or kBadInput that names file, record and key; an empty set is refused.
Expected<std::vector<Record>> ReadRecords(const std::string& path);
Expected<std::vector<Record>> ParseRecords(const std::string& name, std::string_view bytes);

// JSON lines, one record each; ParseRecords gives the same records back (where they are UTF-8).
std::string WriteRecords(std::span<const Record> records);

// What the model is shown before the answer: the template of Stanford Alpaca (2023), in its short
// form where `input` is empty, ended by a line end as alpaca-lora and LLaMA-Factory have it.
std::string PromptOf(const Record& record);

// tokens = BOS, prompt, answer, EOS; the loss counts tokens[answer_begin..], EOS included.
struct Example {
  std::vector<int> tokens;
  int answer_begin = 0;
};

// At most `tokens_max` >= 3 tokens each. Too long a prompt loses its beginning (but not BOS), so
// that the whole answer fits; an answer that does not fit alone loses its end and with it EOS, so
// that the model is not taught to stop there. The ids of prompt and answer are those of each
// encoded alone, as a model that continues the prompt sees them.
std::vector<Example> Tokenize(std::span<const Record> records,
                              const Tokenizer& tokenizer,
                              int tokens_max);

// Plain text for pre-training: documents that two empty lines part. Each becomes BOS, its text
// without leading and trailing line ends, EOS; all of them one after the other.
std::vector<int> TokenizeText(std::string_view text, const Tokenizer& tokenizer);

}  // namespace dashf::corpus
