// A GGUF model's configuration as Hugging Face's config.json says it. Internal to this module.
#pragma once

#include <string>

#include "base/error.h"
#include "gguf/file.h"

namespace dashf::gguf {

// kBadInput names the key. Architectures, and keys of theirs, that are not known are refused by
// name, for they may change what the model computes.
Expected<std::string> ModelConfigJson(const File& file);

}  // namespace dashf::gguf
