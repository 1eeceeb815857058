#include "runtime/operator_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/printable.h"
#include "runtime/address.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Where the caller has said nothing.
Expected<fs::path> FindIt() {
  std::error_code failed;
  if (fs::exists(kOperatorFile, failed)) return fs::path(kOperatorFile);
  std::vector<fs::path> found;
  for (fs::directory_iterator at(".", failed), end; !failed && at != end; at.increment(failed)) {
    const bool named = at->path().filename().string().starts_with("operator-");
    if (named && fs::exists(at->path() / kOperatorFile)) {
      found.push_back(at->path() / kOperatorFile);
    }
  }
  if (found.size() == 1) return found.front().lexically_normal();
  if (found.empty()) {
    return Fail(
        ErrorKind::kUsage,
        "--config",
        fmt::format("is needed: there is no {} in this folder, nor in an operator-NAME folder "
                    "of it; `dashf kit add operator NAME` makes one",
                    kOperatorFile));
  }
  std::vector<std::string> folders;
  for (const fs::path& file : found) {
    folders.push_back(PrintableLine(file.parent_path().lexically_normal().string()));
  }
  std::ranges::sort(folders);
  return Fail(ErrorKind::kUsage,
              "--config",
              fmt::format("is needed: {} operator's folders are here, {}",
                          folders.size(),
                          fmt::join(folders, " and ")));
}

}  // namespace

std::string WriteOperatorConfig(const OperatorConfig& config) {
  const Json json = {
      {"schema", "dashf.operator/1"},
      {"operator", Name(config.node)},
      {"fleet", config.fleet},
      {"coordinator", config.coordinator},
      {"tls",
       {{"ca", config.tls.ca}, {"certificate", config.tls.certificate}, {"key", config.tls.key}}}};
  return json.dump(2) + "\n";
}

Expected<OperatorConfig> ParseOperatorConfig(const std::string& name, std::string_view bytes) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  OperatorConfig config;
  if (root.String("schema") != "dashf.operator/1") {
    root.Reject("schema", "must be dashf.operator/1");
  }
  const auto node = ParseName(root.String("operator"));
  if (!node || node->role != Role::kOperator || !CheckId("", node->id)) {
    root.Reject("operator", "must be operator/NAME");
  }
  config.node = node.value_or(NodeId{});
  config.fleet = root.String("fleet");
  if (!root.failed() && !CheckId("", config.fleet)) {
    root.Reject("fleet", "must be 1 to 48 letters, digits and hyphens");
  }
  root.ForEach("coordinator", [&config](const JsonReader& value) {
    config.coordinator.push_back(value.AsString());
    if (value.failed()) return;
    const auto sound = ParseReachable("", config.coordinator.back());
    if (sound) return;
    const std::string& rule = sound.error().message;  // The reader adds the value.
    value.Reject(rule.substr(0, rule.rfind(", got ")));
  });
  if (config.coordinator.empty()) {
    root.Reject("coordinator", "must have one address at least");
  }
  JsonReader tls = root.Object("tls");
  config.tls = {tls.String("ca"), tls.String("certificate"), tls.String("key"), ""};
  tls.RejectUnknownKeys();
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  const fs::path folder = fs::absolute(name).parent_path();
  for (std::string* path : {&config.tls.ca, &config.tls.certificate, &config.tls.key}) {
    *path = (folder / *path).lexically_normal().string();
  }
  return config;
}

Expected<OperatorConfig> ReadOperatorConfig(const std::string& path) {
  fs::path file = path;
  if (path.empty()) {
    auto found = FindIt();
    if (!found) return tl::unexpected(found.error());
    file = std::move(*found);
  } else if (std::error_code failed; fs::is_directory(file, failed)) {
    file /= kOperatorFile;
  }
  const auto bytes = ReadFile(file, 1 << 20);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseOperatorConfig(file.string(), *bytes);
}

}  // namespace dashf::runtime
