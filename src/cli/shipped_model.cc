#include "cli/shipped_model.h"

namespace dashf::cli {

namespace fs = std::filesystem;

fs::path OwnProgram() {
  std::error_code failed;
  return fs::read_symlink("/proc/self/exe", failed);
}

std::string ShippedModel() {
  const fs::path folder = OwnProgram().parent_path();
  for (const char* place : {"../share/dashf/models/debian-3m", "../../../share/models/debian-3m"}) {
    const fs::path candidate = (folder / place).lexically_normal();
    if (fs::exists(candidate / "config.json")) return candidate.string();
  }
  return (folder / "../share/dashf/models/debian-3m").lexically_normal().string();
}

}  // namespace dashf::cli
