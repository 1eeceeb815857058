#include "runtime/launch.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/file.h"
#include "base/printable.h"
#include "runtime/authority.h"
#include "runtime/log.h"
#include "runtime/node_places.h"
#include "runtime/process.h"
#include "runtime/user_store.h"
#include "scenario/scenario_io.h"

namespace dashf::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kCoordinator[] = "coordinator";
constexpr char kLiveAddress[] = "live-address";
constexpr char kLoopback[] = "127.0.0.1:0";
constexpr int kTickMs = 50;
constexpr std::chrono::seconds kAddressWithin(60);
constexpr std::chrono::seconds kLeaveWithin(15);
constexpr double kGraceS = 2.0;  // Nobody starts a process of this machine's fleet again.

// What only this run's processes may read; gone when the run is.
class PrivateFolder {
 public:
  explicit PrivateFolder(std::filesystem::path path) : path_(std::move(path)) {}
  ~PrivateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  Expected<void> Make() const {
    std::error_code failed;
    std::filesystem::remove_all(path_, failed);
    std::filesystem::create_directories(path_, failed);
    if (!failed) std::filesystem::permissions(path_, std::filesystem::perms::owner_all, failed);
    if (failed) return Fail(ErrorKind::kIo, path_.string(), failed.message());
    return {};
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Round {
 public:
  Round(const Launch& launch, const ProgressLine& progress)
      : launch_(launch), progress_(progress), private_(launch.folder / "private") {}

  Expected<LaunchResult> Run();

 private:
  Expected<void> Prepare();
  Expected<void> Start(const NodeConfig& config);
  std::filesystem::path LogOf(const std::string& name) const;
  void PassOn();  // What the coordinator has said since.
  void Tell(const ProcessEnd& end);
  Expected<std::string> CoordinatorAddress();
  Expected<void> StartNodes(const std::string& address);
  void LookAfter();
  void Stop(int signal);
  NodeConfig Common(const NodeId& node) const;

  const Launch& launch_;
  const ProgressLine& progress_;
  StopSignals signals_;
  PrivateFolder private_;  // Outlives the children.
  ProcessGroup children_;
  std::ifstream coordinators_;  // Its log,
  std::string begun_;           // and of it a line that has no end yet.
  std::optional<int> signal_;
  Clock::time_point stopped_at_{};
};

Expected<LaunchResult> Round::Run() {
  if (auto done = Prepare(); !done) return tl::unexpected(done.error());
  NodeConfig coordinator = Common(CoordinatorNode());
  coordinator.coordinator_kit = {.listen = kLoopback,
                                 .advertise = {},
                                 .address_path = (private_.path() / "address").string(),
                                 .scenario_path = (private_.path() / "scenario.json").string(),
                                 .out_folder = launch_.folder.string(),
                                 .method = launch_.method,
                                 .seed = launch_.plan_seed,
                                 .handover_penalty = launch_.handover_penalty,
                                 .policy = {},
                                 .farewell_s = 0.0,
                                 .log_path = "",
                                 .machine_flop_per_s = launch_.machine_flop_per_s,
                                 .time_scale = launch_.time_scale,
                                 .slowdown = launch_.slowdown,
                                 .learn = launch_.learn,
                                 .live = {.listen = kLoopback,
                                          .address_path = (launch_.folder / kLiveAddress).string(),
                                          .token_path = ""}};
  coordinator.training = launch_.training;
  fleet::Policy& policy = coordinator.coordinator_kit.policy;
  policy.rounds_max = launch_.rounds;
  policy.gather_s = launch_.registration_s;
  policy.give_up_s = launch_.registration_s;
  policy.grace_s = kGraceS;
  if (auto done = Start(coordinator); !done) return tl::unexpected(done.error());
  const auto address = CoordinatorAddress();
  if (!address) return tl::unexpected(address.error());
  if (launch_.on_live_page) {
    const auto url = ReadFile(launch_.folder / kLiveAddress, 256);
    if (url) launch_.on_live_page(url->substr(0, url->find('\n')));
  }
  if (auto done = StartNodes(*address); !done) return tl::unexpected(done.error());
  LookAfter();
  children_.KillAll();
  PassOn();
  const std::string path = (launch_.folder / "round.json").string();
  const auto text = ReadFile(path);
  if (!text) return Fail(ErrorKind::kRoundFailed, path, "the coordinator left no record");
  auto record = ParseRound(path, *text);
  if (!record) return tl::unexpected(record.error());
  return LaunchResult{std::move(*record), signal_};
}

// All users' uploads may lie in the servers' spools at once, and each has what came back.
double RoomBytes(const Scenario& scenario) {
  double bytes = static_cast<double>(kSpareBytes);
  for (const User& user : scenario.users) {
    const SplitProfile& profile = scenario.ProfileOf(user);
    bytes += std::ranges::max(profile.upload_bit) / 8.0;
    bytes += std::ranges::max(profile.download_bit) / 8.0;
  }
  return bytes;
}

// Yesterday's results must not be taken for today's.
Expected<void> Round::Prepare() {
  std::error_code failed;
  for (const char* old : {"adapters",
                          "users",
                          "rounds",
                          "logs",
                          "round.json",
                          "scenario.json",
                          "plan.json",
                          kLiveAddress}) {
    std::filesystem::remove_all(launch_.folder / old, failed);
    if (failed) return Fail(ErrorKind::kIo, (launch_.folder / old).string(), failed.message());
  }
  if (auto made = private_.Make(); !made) return made;
  if (auto room = CheckRoom(launch_.folder, RoomBytes(launch_.scenario)); !room) return room;
  std::filesystem::create_directories(launch_.folder / "logs", failed);
  if (failed) return Fail(ErrorKind::kIo, (launch_.folder / "logs").string(), failed.message());
  auto written =
      WriteFileAtomically(private_.path() / "scenario.json", WriteScenario(launch_.scenario));
  if (!written) return written;
  const auto authority = CertificateAuthority::Create();
  if (!authority) return tl::unexpected(authority.error());
  std::vector<NodeId> nodes = {CoordinatorNode()};
  for (const User& user : launch_.scenario.users) {
    if (auto sound = CheckId("user id", user.id); !sound) return sound;
    nodes.push_back(UserNode(user.id));
  }
  for (const Server& server : launch_.scenario.servers) {
    if (auto sound = CheckId("server id", server.id); !sound) return sound;
    nodes.push_back(ServerNode(server.id));
  }
  for (const NodeId& node : nodes) {
    const auto credentials = authority->Issue(node);
    if (!credentials) return tl::unexpected(credentials.error());
    written = WriteCredentials(private_.path() / "tls", node, *credentials);
    if (!written) return written;
  }
  return {};
}

// A node takes relative paths from its file's folder, which is none of the caller's.
std::string FromHere(const std::string& path) {
  return std::filesystem::absolute(path).string();
}

NodeConfig Round::Common(const NodeId& node) const {
  NodeConfig config;
  config.node = node;
  config.folder = (private_.path() / FileStem(node)).string();
  config.tls = PathsIn(private_.path() / "tls", node);
  config.telemetry_path = (launch_.folder / "telemetry.jsonl").string();
  if (launch_.time_scale > 0.0) {
    config.threads = 1;  // Waiting for one another is part of what is measured.
  } else {
    config.gate_folder = private_.path().string();
    config.gate_turns = launch_.turns;
  }
  config.model_folder = FromHere(launch_.model_folder);
  return config;
}

Expected<void> Round::Start(const NodeConfig& config) {
  const std::string name = Name(config.node);
  const std::filesystem::path path = private_.path() / (FileStem(config.node) + ".json");
  if (auto written = WriteFileAtomically(path, WriteNodeConfig(config)); !written) return written;
  const std::string verb = name.substr(0, name.find('/'));
  const auto started = children_.Start(name,
                                       {launch_.program, verb, "--config", path.string()},
                                       launch_.environment,
                                       LogOf(name).string());
  if (!started) return tl::unexpected(started.error());
  if (config.node.role == Role::kCoordinator) coordinators_.open(LogOf(name));
  return {};
}

std::filesystem::path Round::LogOf(const std::string& name) const {
  std::string stem = name;
  std::ranges::replace(stem, '/', '-');
  return launch_.folder / "logs" / (stem + ".log");
}

void Round::PassOn() {
  coordinators_.clear();
  begun_.append(std::istreambuf_iterator<char>(coordinators_), {});
  std::size_t at = 0;
  for (std::size_t end; (end = begun_.find('\n', at)) != begun_.npos; at = end + 1) {
    progress_(PrintableLine(MessageOf(std::string_view(begun_).substr(at, end - at))));
  }
  begun_.erase(0, at);
}

// With its last words.
void Round::Tell(const ProcessEnd& end) {
  std::ifstream log(LogOf(end.name));
  std::string last;
  for (std::string line; std::getline(log, line);) {
    if (!line.empty()) last = line;
  }
  progress_(fmt::format("{} ended: {}; {}{}",
                        end.name,
                        Describe(end),
                        LogOf(end.name).string(),
                        last.empty() ? " is empty" : ": " + PrintableLine(MessageOf(last))));
}

Expected<std::string> Round::CoordinatorAddress() {
  const std::filesystem::path path = private_.path() / "address";
  for (const auto until = Clock::now() + kAddressWithin; Clock::now() < until;) {
    if (std::filesystem::exists(path)) return ReadFile(path, 256);
    if (const auto end = children_.Poll()) {
      PassOn();
      return Fail(
          ErrorKind::kRoundFailed, kCoordinator, "ended before it listened: " + Describe(*end));
    }
    if (const auto signal = signals_.Wait(kTickMs)) {
      return Fail(ErrorKind::kRoundFailed, "", fmt::format("stopped by signal {}", *signal));
    }
  }
  return Fail(ErrorKind::kRoundFailed, kCoordinator, "does not listen");
}

Expected<void> Round::StartNodes(const std::string& address) {
  const Scenario& scenario = launch_.scenario;
  for (const Server& server : scenario.servers) {
    NodeConfig config = Common(ServerNode(server.id));
    config.coordinator = {address};
    config.server = {.device = server,
                     .listen = kLoopback,
                     .advertise = {},
                     .spool_folder = (private_.path() / "spool" / server.id).string(),
                     .work_conserving = launch_.work_conserving && !(launch_.time_scale > 0.0)};
    if (auto done = Start(config); !done) return done;
  }
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const User& user = scenario.users[n];
    NodeConfig config = Common(UserNode(user.id));
    config.coordinator = {address};
    config.user = {.device = user,
                   .profile = scenario.ProfileOf(user),
                   .train_path = FromHere(launch_.data[n].train),
                   .test_path = FromHere(launch_.data[n].test),
                   .labels = launch_.labels,
                   .adapter_folder = (launch_.folder / "adapters" / user.id).string(),
                   .state_folder = (launch_.folder / "users" / user.id).string()};
    if (auto done = Start(config); !done) return done;
  }
  return {};
}

// Until the coordinator has ended and the nodes have had time to leave.
void Round::LookAfter() {
  std::optional<Clock::time_point> coordinator_left;
  while (children_.running() > 0) {
    if (const auto signal = signals_.Wait(kTickMs)) Stop(*signal);
    PassOn();
    while (const auto end = children_.Poll()) {
      if (end->name == kCoordinator) {
        coordinator_left = Clock::now();
      } else if (end->signal != 0 || end->exit_code != 0) {
        Tell(*end);
        // Once scenario.json is there, all have registered and the coordinator sees who leaves.
        if (!signal_ && !std::filesystem::exists(launch_.folder / "scenario.json")) {
          children_.Signal(kCoordinator, SIGTERM);
        }
      }
    }
    if (coordinator_left && Clock::now() > *coordinator_left + kLeaveWithin) return;
    if (signal_ && Clock::now() > stopped_at_ + kLeaveWithin) return;
  }
}

void Round::Stop(int signal) {
  if (signal_) return;
  signal_ = signal;
  stopped_at_ = Clock::now();
  progress_(fmt::format("signal {}: ending the round", signal));
  children_.Signal(kCoordinator, SIGTERM);
}

}  // namespace

Expected<LaunchResult> CarryOut(const Launch& launch, const ProgressLine& progress) {
  return Round(launch, progress).Run();
}

}  // namespace dashf::runtime
