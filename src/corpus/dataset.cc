#include "corpus/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "corpus/data_text.h"
#include "corpus/json_records.h"
#include "corpus/sample_reader.h"

namespace dashf::corpus {
namespace {

std::string Instruction(std::string_view instruction, std::string_view input) {
  const std::string paired = input.empty() ? "" : fmt::format("### Input:\n{}\n\n", input);
  return fmt::format("### Instruction:\n{}\n\n{}### Response:\n", instruction, paired);
}

}  // namespace

Expected<std::vector<Record>> ParseRecords(const std::string& name, std::string_view bytes) {
  const auto text = TextOf(name, bytes);
  if (!text) return tl::unexpected(text.error());
  std::vector<Record> records;
  auto read = ForEachJsonRecord(
      name, *text, [&](JsonReader object) { records.push_back(ReadRecord(object)); });
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
    nlohmann::ordered_json object = {
        {"instruction", record.instruction}, {"input", record.input}, {"output", record.output}};
    if (!record.system.empty()) object["system"] = record.system;
    for (const auto& [instruction, output] : record.history) {
      object["history"].push_back({instruction, output});
    }
    lines += object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    lines += '\n';
  }
  return lines;
}

std::string PromptOf(const Record& record) {
  constexpr std::string_view kTask =
      "Below is an instruction that describes a task. Write a response that appropriately "
      "completes the request.";
  constexpr std::string_view kTaskWithInput =
      "Below is an instruction that describes a task, paired with an input that provides further "
      "context. Write a response that appropriately completes the request.";
  std::string_view task = record.input.empty() ? kTask : kTaskWithInput;
  if (!record.system.empty()) task = record.system;
  return fmt::format("{}\n\n{}", task, Instruction(record.instruction, record.input));
}

Expected<Example> TokenizeTurns(const std::vector<Turn>& turns,
                                const Tokenizer& tokenizer,
                                int tokens_max) {
  Example example;
  std::vector<int>& tokens = example.tokens;
  const bool has_bos = tokenizer.bos_id() >= 0;
  if (has_bos) tokens.push_back(tokenizer.bos_id());
  const auto append = [&](std::string_view text) {
    const std::vector<int> ids = tokenizer.EncodeText(text);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    return static_cast<int>(tokens.size());
  };
  for (const auto& [prompt, answer] : turns) {
    std::string_view text = answer;
    if (tokenizer.adds_space() && text.starts_with(' ')) text.remove_prefix(1);
    const int begin = append(prompt);
    int end = append(text);
    if (tokenizer.eos_id() >= 0) {
      tokens.push_back(tokenizer.eos_id());
      ++end;
    }
    if (end > begin && begin > 0) example.answers.push_back({begin, end});
  }
  if (example.answers.empty()) {
    return Fail(ErrorKind::kBadInput,
                "",
                "has nothing to learn: its answers are empty, and the tokenizer names no token "
                "that ends one");
  }
  return Fitted(std::move(example), has_bos ? 1 : 0, tokens_max);
}

Expected<Example> TokenizeRecord(const Record& record, const Tokenizer& tokenizer, int tokens_max) {
  std::vector<Turn> turns;
  Record first = record;
  if (!record.history.empty()) {
    first.instruction = record.history.front().instruction;
    first.input.clear();
  }
  turns.push_back({PromptOf(first), {}});
  for (std::size_t i = 0; i < record.history.size(); ++i) {
    turns.back().answer = record.history[i].output;
    const bool last = i + 1 == record.history.size();
    turns.push_back({"\n\n" + (last ? Instruction(record.instruction, record.input)
                                    : Instruction(record.history[i + 1].instruction, "")),
                     {}});
  }
  turns.back().answer = record.output;
  return TokenizeTurns(turns, tokenizer, tokens_max);
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
