#include "cli/train/data_options.h"

#include "base/json.h"

namespace dashf::cli {

void AddTemplateOption(CLI::App* verb, std::string* chat_template) {
  verb->add_option("--template",
                   *chat_template,
                   "Form of conversations: llama2, llama3 or chatml; default: the model folder's")
      ->check(CLI::IsMember({"llama2", "llama3", "chatml"}));
}

void AddDataOptions(CLI::App* verb, const char* text, DataOptions* options) {
  verb->add_option("--data", options->path, text)->required();
  verb->add_option("--format",
                   options->format,
                   "What the data are: alpaca, chat, documents or text; default: as their content")
      ->check(CLI::IsMember({"alpaca", "chat", "documents", "text"}));
  AddTemplateOption(verb, &options->chat_template);
}

Expected<std::vector<corpus::Sample>> ReadData(const DataOptions& options) {
  return corpus::ReadSamples(options.path, corpus::DataFormatNamed(options.format));
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
