#include "corpus/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"

namespace dashf::corpus {
namespace {

// Reads one object; what is wrong with it stays in the document.
Record RecordOf(JsonReader object) {
  Record record;
  record.instruction = object.String("instruction");
  if (object.Has("input")) record.input = object.String("input");
  record.output = object.String("output");
  return record;
}

Expected<std::vector<Record>> ParseArray(const std::string& name, std::string_view bytes) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  std::vector<Record> records;
  document->Root().ForEach([&](JsonReader object) { records.push_back(RecordOf(object)); });
  if (document->error()) return tl::unexpected(*document->error());
  return records;
}

Expected<std::vector<Record>> ParseLines(const std::string& name, std::string_view bytes) {
  std::vector<Record> records;
  for (std::size_t line = 1; !bytes.empty(); ++line) {
    const std::string_view text = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(text.size() + 1, bytes.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto document = JsonDocument::Parse(fmt::format("{}: line {}", name, line), text);
    if (!document) return tl::unexpected(document.error());
    records.push_back(RecordOf(document->Root()));
    if (document->error()) return tl::unexpected(*document->error());
  }
  return records;
}

Example ExampleOf(const Record& record, const Tokenizer& tokenizer, std::size_t tokens_max) {
  const std::vector<int> prompt = tokenizer.Encode(PromptOf(record), false);
  std::vector<int> answer = tokenizer.Encode(record.output, false);
  if (tokenizer.eos_id() >= 0) answer.push_back(tokenizer.eos_id());
  Example example;
  if (tokenizer.bos_id() >= 0) example.tokens.push_back(tokenizer.bos_id());
  // One token of the prompt stays in any case, so that the answer's first token has a predecessor.
  const std::size_t begin_max = example.tokens.size() + std::min<std::size_t>(prompt.size(), 1);
  answer.resize(std::min(answer.size(), tokens_max - begin_max));
  const std::size_t room = tokens_max - answer.size() - example.tokens.size();
  const std::size_t kept = std::min(prompt.size(), room);
  example.tokens.insert(
      example.tokens.end(), prompt.end() - static_cast<std::ptrdiff_t>(kept), prompt.end());
  example.answer_begin = static_cast<int>(example.tokens.size());
  example.tokens.insert(example.tokens.end(), answer.begin(), answer.end());
  return example;
}

}  // namespace

Expected<std::vector<Record>> ParseRecords(const std::string& name, std::string_view bytes) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Fail(ErrorKind::kBadInput, name, "holds no record");
  auto records = bytes[first] == '[' ? ParseArray(name, bytes) : ParseLines(name, bytes);
  if (records && records->empty()) return Fail(ErrorKind::kBadInput, name, "holds no record");
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

std::vector<Example> Tokenize(std::span<const Record> records,
                              const Tokenizer& tokenizer,
                              int tokens_max) {
  DASHF_CHECK(tokens_max >= 3);
  std::vector<Example> examples;
  examples.reserve(records.size());
  for (const Record& record : records) {
    examples.push_back(ExampleOf(record, tokenizer, static_cast<std::size_t>(tokens_max)));
  }
  return examples;
}

std::vector<int> TokenizeText(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<int> stream;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n\n"), text.size());
    const std::string_view document = text.substr(0, end);
    text.remove_prefix(std::min(text.find_first_not_of('\n', end), text.size()));
    if (document.empty()) continue;
    const std::vector<int> ids = tokenizer.Encode(document, true);
    stream.insert(stream.end(), ids.begin(), ids.end());
    if (tokenizer.eos_id() >= 0) stream.push_back(tokenizer.eos_id());
  }
  return stream;
}

}  // namespace dashf::corpus
