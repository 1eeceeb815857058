// The options that say what a data file holds and how conversations are put to the model; shared by
// the verbs that read data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "corpus/samples.h"

namespace dashf::cli {

struct DataOptions {
  std::string path;
  std::string format;         // Empty: what the content tells.
  std::string chat_template;  // Empty: what the model folder tells.
};

// Adds --data, --format and --template.
void AddDataOptions(Command verb, const char* text, DataOptions* options);
// Adds --template alone.
void AddTemplateOption(Command verb, std::string* chat_template);

// `report`, if given, gets what was taken, as ReadSamples has it.
Expected<std::vector<corpus::Sample>> ReadData(const DataOptions& options,
                                               corpus::DataReport* report = nullptr);
// On stderr: what was taken of the file, and once what of it nothing reads.
void TellData(const std::string& path, const corpus::DataReport& report);
// The lines that it writes.
std::vector<std::string> DataLines(const std::string& path, const corpus::DataReport& report);
nlohmann::ordered_json ToJson(const corpus::DataReport& report);
// A warning on stderr where no file of the model names the token that ends an answer.
void WarnIfEndless(const std::string& model_dir, const corpus::Tokenizer& tokenizer);
// The template named, or else the model folder's.
Expected<corpus::ChatTemplate> TemplateFor(const std::string& chat_template,
                                           const std::string& model_dir,
                                           const corpus::Tokenizer& tokenizer);

// Labels of a choice: a JSON array of strings, or the labels.json that `dashf sections` writes.
Expected<std::vector<std::string>> ReadLabels(const std::string& path);

}  // namespace dashf::cli
