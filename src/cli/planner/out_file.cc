#include "cli/planner/out_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace dashf::cli {

Expected<void> CheckOut(const std::string& out, std::initializer_list<std::string> inputs) {
  std::error_code absent;
  if (!std::filesystem::is_regular_file(out, absent)) return {};
  for (const std::string& input : inputs) {
    std::error_code other;
    if (!input.empty() && std::filesystem::equivalent(out, input, other)) {
      return Fail(ErrorKind::kUsage,
                  "--out",
                  fmt::format("must be another file than {}, which is read", input));
    }
  }
  return {};
}

bool MayBeReplaced(const std::string& out) {
  std::error_code unknown;
  const auto type = std::filesystem::status(out, unknown).type();
  const bool descriptor = out.starts_with("/dev/") || out.starts_with("/proc/");
  return !descriptor && (type == std::filesystem::file_type::regular ||
                         type == std::filesystem::file_type::not_found);
}

}  // namespace dashf::cli
