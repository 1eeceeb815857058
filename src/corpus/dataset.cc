#include "corpus/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "corpus/json_records.h"

namespace dashf::corpus {
Record ReadRecord(JsonReader object) {
  Record record;
  record.instruction = object.String("instruction");
  if (object.Has("input")) record.input = object.String("input");
  record.output = object.String("output");
  return record;
}

Expected<std::vector<Record>> ParseRecords(const std::string& name, std::string_view bytes) {
  std::vector<Record> records;
  auto read = ForEachJsonRecord(
      name, bytes, [&](JsonReader object) { records.push_back(ReadRecord(object)); });
  if (!read) return tl::unexpected(read.error());
  return records;
}

Expected<std::vector<Record>> ReadRecords(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseRecords(path, *bytes);
}

std::string WriteRecords(std::span<const Record> records) {
  std::string lines;
  for (const Record& record : records) {
    const nlohmann::ordered_json object = {
        {"instruction", record.instruction}, {"input", record.input}, {"output", record.output}};
    lines += object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    lines += '\n';
  }
  return lines;
}

std::string PromptOf(const Record& record) {
  if (record.input.empty()) {
    return fmt::format(
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n{}\n\n### Response:\n",
        record.instruction);
  }
  return fmt::format(
      "Below is an instruction that describes a task, paired with an input that provides further "
      "context. Write a response that appropriately completes the request.\n\n"
      "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n",
      record.instruction,
      record.input);
}

Example TokenizeRecord(const Record& record, const Tokenizer& tokenizer, int tokens_max) {
  std::vector<int> tokens = tokenizer.EncodeText(PromptOf(record));
  if (tokenizer.bos_id() >= 0) tokens.insert(tokens.begin(), tokenizer.bos_id());
  const auto answer_begin = static_cast<int>(tokens.size());
  const std::vector<int> answer = tokenizer.EncodeText(record.output);
  tokens.insert(tokens.end(), answer.begin(), answer.end());
  if (tokenizer.eos_id() >= 0) tokens.push_back(tokenizer.eos_id());
  return Fitted({std::move(tokens), answer_begin}, tokenizer.bos_id() >= 0 ? 1 : 0, tokens_max);
}

std::vector<Example> Tokenize(std::span<const Record> records,
                              const Tokenizer& tokenizer,
                              int tokens_max) {
  std::vector<Example> examples;
  examples.reserve(records.size());
  for (const Record& record : records) {
    examples.push_back(TokenizeRecord(record, tokenizer, tokens_max));
  }
  return examples;
}

std::vector<std::string_view> DocumentsOf(std::string_view text) {
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
    std::string_view document = text.substr(0, text.find("\n\n\n"));
    text.remove_prefix(document.size());
    while (document.ends_with('\n')) document.remove_suffix(1);
    if (!document.empty()) documents.push_back(document);
  }
  return documents;
}

std::vector<int> TokenizeDocument(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<int> tokens = tokenizer.EncodeText(text);
  if (tokenizer.bos_id() >= 0) tokens.insert(tokens.begin(), tokenizer.bos_id());
  if (tokenizer.eos_id() >= 0) tokens.push_back(tokenizer.eos_id());
  return tokens;
}

std::vector<int> TokenizeText(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<int> stream;
  for (const std::string_view document : DocumentsOf(text)) {
    const std::vector<int> tokens = TokenizeDocument(document, tokenizer);
    stream.insert(stream.end(), tokens.begin(), tokens.end());
  }
  return stream;
}

}  // namespace dashf::corpus
