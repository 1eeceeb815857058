#include "scenario/profile_io.h"

#include <fmt/format.h>

#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace dashf {
namespace {

constexpr std::string_view kSchema = "dashf.profile/1";
constexpr int kLayersMax = 1000;

std::vector<double> Column(JsonReader& root, std::string_view key, int entries) {
  std::vector<double> column = root.Numbers(key, kNonNegative);
  if (!root.failed() && column.size() != static_cast<std::size_t>(entries)) {
    root.Reject(key, fmt::format("must have {} entries, has {}", entries, column.size()));
  }
  column.resize(static_cast<std::size_t>(entries));
  return column;
}

MachineCompute ParseMachine(JsonReader reader) {
  MachineCompute machine;
  machine.clock_hz = reader.Number("clock_hz", kPositive);
  machine.flop_per_cycle = reader.Number("flop_per_cycle", kPositive);
  machine.kappa_w_per_hz3 = reader.Number("kappa_w_per_hz3", kNonNegative);
  machine.gemm_flop_per_s = reader.Number("gemm_flop_per_s", kPositive);
  reader.RejectUnknownKeys();
  return machine;
}

MeasuredProfile ParseRoot(JsonReader root) {
  MeasuredProfile measured;
  if (const std::string schema = root.String("schema"); !root.failed() && schema != kSchema) {
    root.Reject("schema", fmt::format("must be \"{}\"", kSchema));
  }
  measured.name = root.String("name");
  measured.model = root.String("model");
  measured.layers = static_cast<int>(root.Integer("layers", 1, kLayersMax));
  const std::string objective = root.String("objective");
  if (!root.failed() && objective != "early_exit" && objective != "full_depth") {
    root.Reject("objective", "must be \"early_exit\" or \"full_depth\"");
  }
  measured.objective =
      objective == "full_depth" ? PhaseObjective::kFullDepth : PhaseObjective::kEarlyExit;
  measured.epochs = root.Number("epochs", kPositive);
  if (root.Has("joint_epochs")) measured.joint_epochs = root.Number("joint_epochs", kNonNegative);
  measured.tokens_measured = root.Number("tokens_measured", kPositive);
  measured.data_bit_per_token = root.Number("data_bit_per_token", kNonNegative);
  const int rows = measured.layers + 1;
  measured.adapter_bit_per_layer = Column(root, "adapter_bit_per_layer", measured.layers);
  measured.local_flop_per_token = Column(root, "local_flop_per_token", rows);
  measured.server_flop_per_token = Column(root, "server_flop_per_token", rows);
  measured.local_memory_bytes = Column(root, "local_memory_bytes", rows);
  measured.measured_local_s = Column(root, "measured_local_s", rows);
  measured.measured_server_s = Column(root, "measured_server_s", rows);
  if (measured.local_flop_per_token.front() != 0.0) {
    root.Reject("local_flop_per_token", "must start with 0 (k = 0: the user trains nothing)");
  }
  if (measured.server_flop_per_token.back() != 0.0) {
    root.Reject("server_flop_per_token", "must end with 0 (k = L: the server trains nothing)");
  }
  measured.machine = ParseMachine(root.Object("machine"));
  root.RejectUnknownKeys();
  return measured;
}

}  // namespace

SplitProfile ScaleProfile(const MeasuredProfile& measured,
                          const DataSetSize& data,
                          std::string name) {
  SplitProfile profile;
  profile.name = std::move(name);
  profile.local_memory_bytes = measured.local_memory_bytes;
  double adapters_bit = 0.0;
  for (const double bit : measured.adapter_bit_per_layer) adapters_bit += bit;
  double adapters_below_bit = 0.0;
  for (std::size_t k = 0; k < measured.local_flop_per_token.size(); ++k) {
    const bool all_local = k == measured.adapter_bit_per_layer.size();
    const double kept_bit = measured.joint_epochs > 0.0 ? 0.0 : adapters_below_bit;
    profile.local_flop.push_back(measured.local_flop_per_token[k] * data.tokens);
    profile.server_flop.push_back(measured.server_flop_per_token[k] * data.tokens);
    profile.upload_bit.push_back(all_local ? 0.0 : data.data_bit + adapters_below_bit);
    profile.download_bit.push_back(all_local ? 0.0 : adapters_bit - kept_bit);
    if (all_local) break;
    adapters_below_bit += measured.adapter_bit_per_layer[k];
  }
  return profile;
}

Expected<MeasuredProfile> ParseProfile(const std::string& name, std::string_view bytes) {
  const auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  MeasuredProfile measured = ParseRoot(document->Root());
  if (document->error()) return tl::unexpected(*document->error());
  return measured;
}

Expected<MeasuredProfile> ReadProfile(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseProfile(path, *bytes);
}

std::string WriteProfile(const MeasuredProfile& measured) {
  const bool full_depth = measured.objective == PhaseObjective::kFullDepth;
  return DumpRows({{"schema", kSchema},
                   {"name", measured.name},
                   {"model", measured.model},
                   {"layers", measured.layers},
                   {"objective", full_depth ? "full_depth" : "early_exit"},
                   {"epochs", measured.epochs},
                   {"joint_epochs", measured.joint_epochs},
                   {"tokens_measured", measured.tokens_measured},
                   {"data_bit_per_token", measured.data_bit_per_token},
                   {"adapter_bit_per_layer", measured.adapter_bit_per_layer},
                   {"local_flop_per_token", measured.local_flop_per_token},
                   {"server_flop_per_token", measured.server_flop_per_token},
                   {"local_memory_bytes", measured.local_memory_bytes},
                   {"measured_local_s", measured.measured_local_s},
                   {"measured_server_s", measured.measured_server_s},
                   {"machine",
                    {{"clock_hz", measured.machine.clock_hz},
                     {"flop_per_cycle", measured.machine.flop_per_cycle},
                     {"kappa_w_per_hz3", measured.machine.kappa_w_per_hz3},
                     {"gemm_flop_per_s", measured.machine.gemm_flop_per_s}}}});
}

}  // namespace dashf
