#include "train/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace dashf::train {
namespace {

namespace fs = std::filesystem;

// "meta-llama/Llama-3.2-1B": an owner and a name, as a hub has them.
bool IsHubName(const std::string& name) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  };
  return std::ranges::count(name, '/') == 1 && std::ranges::all_of(name, plain) &&
         !name.starts_with('/') && !name.starts_with('.') && !name.ends_with('/');
}

// A file of the folder with this ending; empty: none.
std::string FileWith(const fs::path& folder, const std::string& ending) {
  std::error_code ignored;
  std::string found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending) && (found.empty() || name < found)) found = name;
  }
  return found;
}

}  // namespace

Expected<void> CheckModelFolder(const fs::path& folder) {
  std::error_code ignored;
  const std::string name = folder.string();
  if (!fs::exists(folder, ignored)) {
    std::string rule = "there is no such model folder";
    if (IsHubName(name)) {
      rule += fmt::format(
          "; if it is a name on Hugging Face's hub, fetch it (hf download {} --local-dir DIR) and "
          "say --model DIR",
          name);
    }
    return Fail(ErrorKind::kIo, name, std::move(rule));
  }
  if (!fs::is_directory(folder, ignored)) return {};
  const bool has_config = fs::exists(folder / "config.json", ignored);
  const bool has_weights = !FileWith(folder, ".safetensors").empty() ||
                           fs::exists(folder / "model.safetensors.index.json", ignored);
  if (has_config && has_weights) return {};
  if (const std::string gguf = FileWith(folder, ".gguf"); !gguf.empty()) {
    return Fail(ErrorKind::kBadInput,
                name,
                fmt::format("holds no config.json with safetensors but {}, a model of llama.cpp; "
                            "name the file itself, or the folder that it was made of",
                            gguf));
  }
  if (const std::string bin = FileWith(folder, ".bin"); has_config && !bin.empty()) {
    return Fail(ErrorKind::kBadInput,
                name,
                fmt::format("holds its weights as {} alone, which may run code when it is read; "
                            "convert it: python3 -c \"from transformers import "
                            "AutoModelForCausalLM as M; M.from_pretrained('{}')"
                            ".save_pretrained('DIR')\"",
                            bin,
                            name));
  }
  if (fs::exists(folder / "adapter_config.json", ignored)) {
    return Fail(ErrorKind::kBadInput,
                name,
                "is a PEFT adapter, not a model: say --adapter for it, and its base as --model");
  }
  return Fail(ErrorKind::kBadInput,
              name,
              has_config ? "holds no model.safetensors, nor an index of several"
                         : "holds no config.json: it must be a model folder of Hugging Face's");
}

}  // namespace dashf::train
