#include "loadtest/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "base/median.h"
#include "base/termination.h"
#include "loadtest/coordinator_child.h"
#include "loadtest/light_fleet.h"
#include "runtime/descriptors.h"
#include "scenario/generator.h"
#include "scenario/scenario_io.h"

namespace dashf::loadtest {
namespace {

namespace fs = std::filesystem;
using runtime::NodeConfig;

constexpr char kLog[] = "fleet.log";
constexpr int kCandidates = 8;  // Servers that each user may reach; the more, the longer planning.

struct Moment {
  double elapsed_s = 0.0, cpu_s = 0.0;
};

Expected<NodeConfig> Prepare(const Load& load,
                             const Scenario& scenario,
                             const runtime::CertificateAuthority& authority) {
  const auto node = runtime::CoordinatorNode();
  const auto credentials = authority.Issue(node);
  if (!credentials) return tl::unexpected(credentials.error());
  const fs::path& folder = load.folder;
  if (fs::exists(folder / kLog)) {
    return Fail(ErrorKind::kIo, folder.string(), "holds the files of an earlier measurement");
  }
  if (auto written = WriteCredentials(folder / "tls", node, *credentials); !written) {
    return tl::unexpected(written.error());
  }
  const fs::path scenario_path = folder / "deployment.json";
  if (auto written = WriteFileAtomically(scenario_path, WriteScenario(scenario)); !written) {
    return tl::unexpected(written.error());
  }
  NodeConfig config;
  config.node = node;
  config.folder = folder.string();
  config.tls = runtime::PathsIn(folder / "tls", node);
  config.telemetry_path = (folder / "telemetry.jsonl").string();
  config.model_folder = (folder / "no-model").string();
  runtime::CoordinatorKit& kit = config.coordinator_kit;
  kit.listen = "127.0.0.1:0";
  kit.address_path = (folder / "address").string();
  kit.scenario_path = scenario_path.string();
  kit.out_folder = (folder / "rounds-out").string();
  kit.method = load.method;
  kit.log_path = (folder / kLog).string();
  kit.machine_flop_per_s = 1e9;  // So that the rounds' records are made in full.
  kit.policy.gather_s = load.time_limit_s;
  kit.policy.lease_s = 60.0;  // All nodes share two cores with the coordinator.
  return config;
}

// Of all plans so far, as the coordinator's telemetry has it.
double PlanningCpuS(const NodeConfig& config, std::size_t* plans) {
  double cpu_s = 0.0;
  *plans = 0;
  const auto text = ReadFile(config.telemetry_path, std::uint64_t{8} << 30);
  if (!text) return 0.0;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"planned\"") == std::string::npos) continue;
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object()) continue;
    cpu_s += event.value("cpu_s", 0.0);
    ++*plans;
  }
  return cpu_s;
}

std::uint64_t LogBytes(const fs::path& log) {
  std::uint64_t bytes = 0;
  std::error_code failed;
  for (const char* suffix : {"", "-wal"}) {
    const auto size = fs::file_size(log.string() + suffix, failed);
    if (!failed) bytes += size;
  }
  return bytes;
}

class LoadTest {
 public:
  LoadTest(const Load& load, const std::function<void(const std::string&)>& say)
      : load_(load), say_(say) {}

  Expected<LoadFigures> Run();

 private:
  Expected<void> Register();
  Expected<void> RunRounds();
  Expected<void> Restart();
  // An error says what was waited for.
  Expected<void> Await(const std::string& what,
                       const std::function<bool(const Progress&)>& reached);
  void Watch(const Progress& progress);
  Moment Now() const { return {watch_.MeasuredS(), coordinator_->CpuS()}; }
  std::size_t nodes() const { return scenario_.users.size() + scenario_.servers.size(); }

  const Load& load_;
  const std::function<void(const std::string&)>& say_;
  Scenario scenario_;
  std::unique_ptr<runtime::CertificateAuthority> authority_;
  NodeConfig config_;
  std::unique_ptr<CoordinatorChild> coordinator_;
  const Stopwatch watch_;
  std::vector<Moment> assigned_, ended_;  // By round; written by Watch(), under the fleet's lock.
  std::unique_ptr<LightFleet> fleet_;
  LoadFigures figures_;
};

// When the last user of a round has its assignment, and when the last one is done.
void LoadTest::Watch(const Progress& progress) {
  const auto complete = [this](const std::vector<std::size_t>& counts, std::size_t round) {
    return counts.size() > round && counts[round] == scenario_.users.size();
  };
  if (complete(progress.at_work, assigned_.size())) assigned_.push_back(Now());
  if (complete(progress.done, ended_.size())) ended_.push_back(Now());
}

Expected<void> LoadTest::Await(const std::string& what,
                               const std::function<bool(const Progress&)>& reached) {
  const Stopwatch waited;
  while (waited.MeasuredS() < load_.time_limit_s) {
    if (fleet_->WaitUntil(reached, 1.0)) return {};
    if (auto left = runtime::CheckDescriptorsLeft(); !left) return left;
    const Progress now = fleet_->Now();
    if (!now.refusal.empty()) return Fail(ErrorKind::kRoundFailed, "coordinator", now.refusal);
    if (coordinator_->Ended()) {
      return Fail(ErrorKind::kRoundFailed, "coordinator", "ended during " + what);
    }
    say_(fmt::format("{}: {} of {} nodes registered, {} of {} users done, {} sessions broken",
                     what,
                     now.registered,
                     nodes(),
                     now.done.empty() ? 0 : now.done.back(),
                     scenario_.users.size(),
                     now.broken_sessions));
  }
  return Fail(ErrorKind::kRoundFailed,
              "coordinator",
              fmt::format("{} took longer than {:.0f} s", what, load_.time_limit_s));
}

Expected<void> LoadTest::Register() {
  const Moment before = Now();
  fleet_ = std::make_unique<LightFleet>(
      coordinator_->address(), scenario_, *authority_, [this](const Progress& p) { Watch(p); });
  auto done = Await("registration", [this](const Progress& p) { return p.registered == nodes(); });
  if (!done) return done;
  const Moment after = Now();
  figures_.register_s = after.elapsed_s - before.elapsed_s;
  figures_.register_cpu_ms = 1e3 * (after.cpu_s - before.cpu_s) / static_cast<double>(nodes());
  figures_.descriptors = coordinator_->Descriptors();
  return {};
}

Expected<void> LoadTest::RunRounds() {
  const Moment registered = Now();
  for (std::uint32_t round = 1; round <= load_.rounds; ++round) {
    auto done = Await(fmt::format("round {}", round), [&](const Progress& p) {
      return p.done.size() >= round && p.done[round - 1] == scenario_.users.size();
    });
    if (!done) return done;
  }
  std::vector<double> plan_s, round_s;
  for (std::size_t i = 0; i < load_.rounds; ++i) {
    const double begun_s = i == 0 ? registered.elapsed_s : ended_[i - 1].elapsed_s;
    plan_s.push_back(assigned_[i].elapsed_s - begun_s);
    round_s.push_back(ended_[i].elapsed_s - begun_s);
  }
  std::size_t plans = 0;
  const double planning_s = PlanningCpuS(config_, &plans);
  const double rounds = load_.rounds;
  const double users = load_.users;
  const double cpu_s = ended_[load_.rounds - 1].cpu_s - registered.cpu_s;
  figures_.plan_s = Median(plan_s);
  figures_.round_s = Median(round_s);
  figures_.plan_cpu_s = plans == 0 ? 0.0 : planning_s / static_cast<double>(plans);
  figures_.round_cpu_ms = 1e3 * (cpu_s - rounds * figures_.plan_cpu_s) / (rounds * users);
  return {};
}

Expected<void> LoadTest::Restart() {
  figures_.memory_bytes = coordinator_->MemoryBytesMax();
  figures_.broken_sessions = fleet_->Now().broken_sessions;
  coordinator_->Kill();
  fleet_.reset();
  figures_.log_bytes = static_cast<double>(LogBytes(config_.coordinator_kit.log_path)) /
                       (static_cast<double>(load_.users) * load_.rounds);
  auto again = CoordinatorChild::Start(load_.program, config_, load_.time_limit_s);
  if (!again) return tl::unexpected(again.error());
  figures_.restart_s = (*again)->started_s();
  return {};
}

Expected<LoadFigures> LoadTest::Run() {
  GeneratorOptions options;
  options.name = "load test";
  const std::optional<int> candidates =
      load_.servers > kCandidates ? std::optional(kCandidates) : std::nullopt;
  auto scenario = GenerateStudy(load_.users, load_.servers, options, Rng(load_.seed), candidates);
  if (!scenario) return tl::unexpected(scenario.error());
  scenario_ = std::move(*scenario);
  auto authority = runtime::CertificateAuthority::Create();
  if (!authority) return tl::unexpected(authority.error());
  authority_ = std::make_unique<runtime::CertificateAuthority>(std::move(*authority));
  auto config = Prepare(load_, scenario_, *authority_);
  if (!config) return tl::unexpected(config.error());
  config_ = std::move(*config);
  auto child = CoordinatorChild::Start(load_.program, config_, load_.time_limit_s);
  if (!child) return tl::unexpected(child.error());
  coordinator_ = std::move(*child);
  auto done = Register();
  if (done) done = RunRounds();
  if (done) done = Restart();
  if (!done) return tl::unexpected(done.error());
  return figures_;
}

}  // namespace

Expected<LoadFigures> Measure(const Load& load,
                              const std::function<void(const std::string&)>& say) {
  runtime::RaiseDescriptorLimit();  // For one connection per node.
  return LoadTest(load, say).Run();
}

}  // namespace dashf::loadtest
