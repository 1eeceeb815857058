// A GGUF model's tokenizer as the files of a Hugging Face folder. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "gguf/file.h"

namespace dashf::gguf {

// "tokenizer.json" for byte-level BPE ("gpt2"), "tokenizer.model" for SentencePiece's ("llama");
// empty: the file has no tokenizer of either kind.
std::string_view TokenizerFileName(const File& file);
// That file's bytes. kBadInput names the key; pre-tokenizers that are not known are refused by
// name.
Expected<std::string> TokenizerFile(const File& file);
// tokenizer_config.json: the special tokens and the chat template.
Expected<std::string> TokenizerConfigJson(const File& file);

}  // namespace dashf::gguf
