// Fine-tuning data: Alpaca records, the prompt they are put into, and token sequences whose loss
// counts the answer alone.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
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

// BOS, prompt, answer, EOS, Fitted to `tokens_max` >= 3; the loss counts answer and EOS. The ids of
// prompt and answer are those of each encoded alone, as a model that continues the prompt sees
// them.
Example TokenizeRecord(const Record& record, const Tokenizer& tokenizer, int tokens_max);
std::vector<Example> Tokenize(std::span<const Record> records,
                              const Tokenizer& tokenizer,
                              int tokens_max);

// Plain text is documents that two empty lines part, without the line ends around them.
std::vector<std::string_view> DocumentsOf(std::string_view text);
// BOS, text, EOS.
std::vector<int> TokenizeDocument(std::string_view text, const Tokenizer& tokenizer);
// For pre-training: all the documents one after the other.
std::vector<int> TokenizeText(std::string_view text, const Tokenizer& tokenizer);

}  // namespace dashf::corpus
