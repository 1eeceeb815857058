#include "corpus/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/file.h"
#include "corpus/data_text.h"
#include "corpus/json_records.h"
#include "corpus/sample_reader.h"

namespace dashf::corpus {
namespace {

constexpr std::array<std::string_view, 5> kFormats = {  // By DataFormat's number.
    "alpaca",
    "chat",
    "completion",
    "documents",
    "text"};

std::vector<Sample> PlainText(std::string_view bytes) {
  std::string text(bytes);
  for (std::size_t at = 0; (at = text.find("\r\n", at)) != std::string::npos;) text.erase(at, 1);
  std::vector<Sample> samples;
  for (const std::string_view document : DocumentsOf(text)) {
    samples.push_back(Document{std::string(document)});
  }
  return samples;
}

void AppendWindows(const Document& document,
                   const Tokenizer& tokenizer,
                   int tokens_max,
                   std::vector<Example>* examples) {
  const std::vector<int> tokens = TokenizeDocument(document.text, tokenizer);
  const auto step = static_cast<std::size_t>(tokens_max) - 1;
  for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += step) {
    const std::size_t end = std::min(tokens.size(), begin + step + 1);
    examples->emplace_back(std::vector<int>(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                                            tokens.begin() + static_cast<std::ptrdiff_t>(end)),
                           1);
  }
}

void RejectShape(const JsonReader& object) {
  object.Reject(
      "is of no known shape: must have \"instruction\" and \"output\", \"prompt\" and "
      "\"completion\", \"messages\", \"conversations\" or \"text\"");
}

}  // namespace

std::string_view Name(DataFormat format) {
  return kFormats[static_cast<std::size_t>(format)];
}

std::optional<DataFormat> DataFormatNamed(std::string_view name) {
  const auto found = std::ranges::find(kFormats, name);
  if (found == kFormats.end()) return std::nullopt;
  return static_cast<DataFormat>(found - kFormats.begin());
}

DataFormat FormatOf(const Sample& sample) {
  if (std::holds_alternative<Record>(sample)) return DataFormat::kAlpaca;
  if (std::holds_alternative<Conversation>(sample)) return DataFormat::kChat;
  if (std::holds_alternative<Completion>(sample)) return DataFormat::kCompletion;
  return DataFormat::kDocuments;
}

Expected<std::vector<Sample>> ParseSamples(const std::string& name,
                                           std::string_view bytes,
                                           std::optional<DataFormat> format,
                                           DataReport* report) {
  DataReport unheard;
  if (report == nullptr) report = &unheard;
  const auto text = TextOf(name, bytes);
  if (!text) return tl::unexpected(text.error());
  const std::size_t first = text->find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Fail(ErrorKind::kBadInput, name, "holds no record");
  const bool json = (*text)[first] == '[' || (*text)[first] == '{';
  if (!format && !json) {
    if (auto prose = CheckProse(name, *text); !prose) return tl::unexpected(prose.error());
    format = DataFormat::kText;
  }
  std::vector<Sample> samples;
  if (format == DataFormat::kText) {
    samples = PlainText(*text);
    if (samples.empty()) return Fail(ErrorKind::kBadInput, name, "holds no document");
  } else {
    auto read = ForEachJsonRecord(name, *text, [&](JsonReader object) {
      if (!format) format = FormatOf(object);
      if (!format) return RejectShape(object);
      samples.push_back(ReadSample(*format, object, &report->ignored));
    });
    if (!read) return tl::unexpected(read.error());
  }
  report->format = *format;
  report->samples = samples.size();
  return samples;
}

Expected<std::vector<Sample>> ReadSamples(const std::string& path,
                                          std::optional<DataFormat> format,
                                          DataReport* report) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseSamples(path, *bytes, format, report);
}

Expected<Conversation> ReadPrompt(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  const auto text = TextOf(path, *bytes);
  if (!text) return tl::unexpected(text.error());
  std::vector<Conversation> conversations;
  auto read = ForEachJsonRecord(path, *text, [&](JsonReader object) {
    if (!conversations.empty()) object.Reject("there must be one conversation");
    conversations.push_back(ReadMessages(object));
  });
  if (!read) return tl::unexpected(read.error());
  return conversations.front();
}

namespace {

nlohmann::ordered_json ToJson(const Message& message) {
  nlohmann::ordered_json object = {{"role", Name(message.role)}, {"content", message.content}};
  if (message.role == Role::kAssistant && !message.trained) object["weight"] = 0;
  if (message.extra.is_object()) object.update(message.extra);
  return object;
}

nlohmann::ordered_json ToJson(const Sample& sample) {
  nlohmann::ordered_json object;
  if (const auto* conversation = std::get_if<Conversation>(&sample)) {
    for (const Message& message : conversation->messages) {
      object["messages"].push_back(ToJson(message));
    }
    if (conversation->extra.is_object()) object.update(conversation->extra);
  } else if (const auto* completion = std::get_if<Completion>(&sample)) {
    object = {{"prompt", completion->prompt}, {"completion", completion->completion}};
  } else {
    object["text"] = std::get<Document>(sample).text;
  }
  return object;
}

}  // namespace

std::string WriteSamples(std::span<const Sample> samples) {
  std::string lines;
  for (const Sample& sample : samples) {
    if (const auto* record = std::get_if<Record>(&sample)) {
      lines += WriteRecords({record, 1});
      continue;
    }
    const nlohmann::ordered_json object = ToJson(sample);
    lines += object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    lines += '\n';
  }
  return lines;
}

namespace {

// Whether all that the sample would teach is that an answer ends.
bool Unanswered(const Sample& sample) {
  if (const auto* record = std::get_if<Record>(&sample)) {
    return record->output.empty() && record->history.empty();
  }
  if (const auto* completion = std::get_if<Completion>(&sample)) {
    return completion->completion.empty();
  }
  const auto* conversation = std::get_if<Conversation>(&sample);
  return conversation != nullptr &&
         std::ranges::none_of(conversation->messages, [](const Message& message) {
           return message.role == Role::kAssistant && message.trained && !message.content.empty();
         });
}

std::vector<Example> Alone(Example example) {
  return {std::move(example)};
}

Expected<std::vector<Example>> TokenizeSample(const Sample& sample,
                                              const Tokenizer& tokenizer,
                                              const Expected<ChatTemplate>& chat,
                                              int tokens_max) {
  if (const auto* record = std::get_if<Record>(&sample)) {
    return TokenizeRecord(*record, tokenizer, tokens_max).map(Alone);
  }
  if (const auto* completion = std::get_if<Completion>(&sample)) {
    const Turn turn{completion->prompt, completion->completion};
    return TokenizeTurns({turn}, tokenizer, tokens_max).map(Alone);
  }
  if (!chat) return tl::unexpected(chat.error());
  return TokenizeChat(*chat, std::get<Conversation>(sample), tokenizer, tokens_max);
}

}  // namespace

Expected<std::vector<Example>> TokenizeSamples(std::span<const Sample> samples,
                                               const Tokenizer& tokenizer,
                                               const Expected<ChatTemplate>& chat,
                                               int tokens_max,
                                               DataReport* report) {
  DASHF_CHECK(tokens_max >= 3);
  DataReport unheard;
  if (report == nullptr) report = &unheard;
  report->tokens_max = tokens_max;
  std::vector<Example> examples;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (const auto* document = std::get_if<Document>(&samples[i])) {
      AppendWindows(*document, tokenizer, tokens_max, &examples);
      continue;
    }
    auto made = TokenizeSample(samples[i], tokenizer, chat, tokens_max);
    const bool formless = !chat && std::holds_alternative<Conversation>(samples[i]);
    if (!made && formless) return tl::unexpected(made.error());
    const std::string where = fmt::format("sample {}", i + 1);
    if (!made) return Fail(ErrorKind::kBadInput, where, made.error().Text());
    report->shortened += std::ranges::any_of(*made, &Example::shortened) ? 1 : 0;
    report->unanswered += Unanswered(samples[i]) ? 1 : 0;
    for (Example& example : *made) examples.push_back(std::move(example));
  }
  report->sequences += examples.size();
  return examples;
}

std::string Described(const DataReport& report) {
  const auto count = [](std::size_t n, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
  };
  std::string text;
  switch (report.format) {
    case DataFormat::kDocuments:
    case DataFormat::kText:
      return fmt::format("{}, {} of at most {} tokens",
                         count(report.samples, "document", "documents"),
                         count(report.sequences, "sequence", "sequences"),
                         report.tokens_max);
    case DataFormat::kAlpaca:
      text = count(report.samples, "Alpaca record", "Alpaca records");
      break;
    case DataFormat::kChat:
      text = count(report.samples, "conversation", "conversations");
      break;
    case DataFormat::kCompletion:
      text = count(report.samples, "prompt with its completion", "prompts with completions");
      break;
  }
  return fmt::format("{}, {} shortened to {} tokens, {} without an answer",
                     text,
                     report.shortened,
                     report.tokens_max,
                     report.unanswered);
}

}  // namespace dashf::corpus
