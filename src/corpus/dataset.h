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
  std::string system = {};  // In place of the sentence that describes a task.
  struct Turn {
    std::string instruction, output;

    friend bool operator==(const Turn&, const Turn&) = default;
  };
  std::vector<Turn> history = {};  // Earlier turns, whose answers are learnt as well.

  friend bool operator==(const Record&, const Record&) = default;
};

// JSON in any of the shapes that samples.h names. Each object has "instruction" and "output", and
// may have "input", "system" and "history" (pairs of an instruction and its answer), as
// LLaMA-Factory has them; further keys are ignored. kIo, or kBadInput that names file, record and
// key; an empty set is refused.
Expected<std::vector<Record>> ReadRecords(const std::string& path);
Expected<std::vector<Record>> ParseRecords(const std::string& name, std::string_view bytes);

// JSON lines, one record each; ParseRecords gives the same records back (where they are UTF-8).
std::string WriteRecords(std::span<const Record> records);

// What the model is shown before the answer, without the record's history: the template of Stanford
// Alpaca (2023), in its short form where `input` is empty, ended by a line end as alpaca-lora and
// LLaMA-Factory have it. A system message takes the place of the paragraph that describes a task.
std::string PromptOf(const Record& record);

// Texts to be answered and their answers, one after the other: BOS, prompt, answer, EOS, prompt,
// answer, EOS, ..., Fitted to `tokens_max` >= 3; the loss counts each answer and its EOS. The ids
// of prompt and answer are those of each encoded alone, as a model that continues the prompt sees
// them; a tokenizer that puts a space before every text has put an answer's own there. kBadInput if
// there is nothing to count: empty answers, and no EOS.
struct Turn {
  std::string prompt, answer;
};
Expected<Example> TokenizeTurns(const std::vector<Turn>& turns,
                                const Tokenizer& tokenizer,
                                int tokens_max);
// The turns of a record: PromptOf the first, and of each later one what follows its paragraph
// there, behind an empty line.
Expected<Example> TokenizeRecord(const Record& record, const Tokenizer& tokenizer, int tokens_max);

// Plain text is documents that two empty lines part, without the line ends around them.
std::vector<std::string_view> DocumentsOf(std::string_view text);
// BOS, text, EOS.
std::vector<int> TokenizeDocument(std::string_view text, const Tokenizer& tokenizer);
// For pre-training: all the documents one after the other.
std::vector<int> TokenizeText(std::string_view text, const Tokenizer& tokenizer);

}  // namespace dashf::corpus
