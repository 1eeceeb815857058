// A temporary folder that goes with everything in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace dashf::cli {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dashf-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }  // Empty: it could not be made.

 private:
  std::filesystem::path path_;
};

}  // namespace dashf::cli
