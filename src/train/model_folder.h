// What a model folder holds, before anything of it is read.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace dashf::train {

// kIo where there is no such folder: what to do if it is a name on Hugging Face's hub. kBadInput
// for a folder without config.json or safetensors, with what it holds instead and how to convert
// that. A file in place of the folder is for its reader to judge.
Expected<void> CheckModelFolder(const std::filesystem::path& folder);

}  // namespace dashf::train
