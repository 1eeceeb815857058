#include "cli/train/data_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/json.h"
#include "base/printable.h"

namespace dashf::cli {

void AddTemplateOption(Command verb, std::string* chat_template) {
  verb.add_option("--template",
                  *chat_template,
                  "Form of conversations: llama2, llama3 or chatml; default: the model folder's")
      .check(IsMember({"llama2", "llama3", "chatml"}));
}

void AddDataOptions(Command verb, const char* text, DataOptions* options) {
  verb.add_option("--data", options->path, text).required();
  verb.add_option(
          "--format",
          options->format,
          "What the data are: alpaca, chat, completion, documents or text; default: as their "
          "content")
      .check(IsMember({"alpaca", "chat", "completion", "documents", "text"}));
  AddTemplateOption(verb, &options->chat_template);
}

Expected<std::vector<corpus::Sample>> ReadData(const DataOptions& options,
                                               corpus::DataReport* report) {
  return corpus::ReadSamples(options.path, corpus::DataFormatNamed(options.format), report);
}

std::vector<std::string> DataLines(const std::string& path, const corpus::DataReport& report) {
  std::vector<std::string> lines = {fmt::format("{}: {}", path, corpus::Described(report))};
  if (report.ignored.empty()) return lines;
  constexpr std::size_t kNamedMax = 10;
  std::vector<std::string> named;
  for (const std::string& key : report.ignored) {
    if (named.size() < kNamedMax) named.push_back(key);
  }
  if (named.size() < report.ignored.size()) named.push_back("...");
  lines.push_back(fmt::format(
      "{}: keys that are not read: {}", path, Printable(fmt::to_string(fmt::join(named, ", ")))));
  return lines;
}

void TellData(const std::string& path, const corpus::DataReport& report) {
  for (const std::string& line : DataLines(path, report)) fmt::print(stderr, "{}\n", line);
}

void WarnIfEndless(const std::string& model_dir, const corpus::Tokenizer& tokenizer) {
  if (tokenizer.eos_id() >= 0) return;
  fmt::print(stderr,
             "warning: {}: nothing names the token that ends an answer (eos_token in "
             "tokenizer_config.json or special_tokens_map.json, eos_token_id in config.json or "
             "generation_config.json): answers have no end of their own\n",
             model_dir);
}

nlohmann::ordered_json ToJson(const corpus::DataReport& report) {
  return {{"format", corpus::Name(report.format)},
          {"samples", report.samples},
          {"sequences", report.sequences},
          {"tokens_max", report.tokens_max},
          {"shortened", report.shortened},
          {"unanswered", report.unanswered},
          {"keys_not_read", report.ignored}};
}

Expected<corpus::ChatTemplate> TemplateFor(const std::string& chat_template,
                                           const std::string& model_dir,
                                           const corpus::Tokenizer& tokenizer) {
  const auto named = corpus::ChatTemplateNamed(chat_template);
  if (!named) return corpus::LoadChatTemplate(model_dir, tokenizer);
  if (auto sound = corpus::CheckChatTemplate(*named, tokenizer); !sound) {
    return tl::unexpected(sound.error());
  }
  return *named;
}

Expected<std::vector<std::string>> ReadLabels(const std::string& path) {
  const auto document = JsonDocument::ReadFile(path);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  std::vector<std::string> labels;
  const auto add = [&labels](const JsonReader& label) { labels.push_back(label.AsString()); };
  if (root.raw().is_array()) {
    root.ForEach(add);
  } else {
    root.ForEach("sections", add);
  }
  if (document->error()) return tl::unexpected(*document->error());
  if (labels.empty()) return Fail(ErrorKind::kBadInput, path, "holds no label");
  return labels;
}

}  // namespace dashf::cli
