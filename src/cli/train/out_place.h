// Where the engine's verbs write.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/error.h"

namespace dashf::cli {

struct InputPlace {
  const char* flag;           // That names it.
  std::string path;           // A file or a folder; empty: none.
  bool keeps_inside = false;  // Nothing is to be written inside the folder either.
};

// kUsage, naming `flag`, where `out` is an input, or lies in a folder that keeps its inside.
Expected<void> CheckApart(const char* flag,
                          const std::filesystem::path& out,
                          std::initializer_list<InputPlace> inputs);

// A folder that a long computation will write into. What was made of it goes again if nothing was
// written there.
class OutFolder {
 public:
  explicit OutFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~OutFolder();
  OutFolder(const OutFolder&) = delete;
  OutFolder& operator=(const OutFolder&) = delete;

  // Before hours of work, not after: kIo if it cannot be made or written into.
  Expected<void> Make();

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> made_;  // The innermost first.
};

}  // namespace dashf::cli
