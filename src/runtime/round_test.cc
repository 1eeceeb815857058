// Whole rounds with real processes: the built dashf binary as coordinator, servers and users, a
// tiny random model, and processes that are really killed in mid-round.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "corpus/tokenizer.h"
#include "dashf.grpc.pb.h"
#include "runtime/authority.h"
#include "runtime/emulation.h"
#include "runtime/launch.h"
#include "runtime/learning.h"
#include "runtime/process.h"
#include "runtime/tls.h"
#include "train/model.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

constexpr int kLayers = 3;

train::ModelConfig TinyConfig(int vocab_size) {
  train::ModelConfig config;
  config.layers = kLayers;
  config.hidden_size = 32;
  config.heads = 2;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.intermediate_size = 48;
  config.vocab_size = vocab_size;
  config.max_positions = 256;
  return config;
}

// Users u0 and u1 reach server s0 alone, u2 reaches s1 alone.
Scenario ThreeUsers() {
  Scenario scenario;
  scenario.name = "three users";
  scenario.noise_density_w_per_hz = 2e-20;
  scenario.objective.all_local_allowed = false;
  const Compute compute{.clock_hz_max = 1e9, .flop_per_cycle = 10, .kappa_w_per_hz3 = 1e-27};
  scenario.profiles = {{.name = "p",
                        .local_flop = {0, 1e9, 2e9, 3e9},
                        .server_flop = {3e9, 2e9, 1e9, 0},
                        .upload_bit = {1e4, 5e4, 9e4, 0},
                        .download_bit = {1.2e5, 8e4, 4e4, 0},
                        .local_memory_bytes = {0, 1e6, 2e6, 3e6}}};
  for (const char* id : {"u0", "u1", "u2"}) {
    scenario.users.push_back({.id = id,
                              .name = {},
                              .position_m = {},
                              .tx_power_w_max = 0.2,
                              .compute = compute,
                              .memory_bytes_max = 1e9,
                              .profile = 0});
  }
  for (const char* id : {"s0", "s1"}) {
    scenario.servers.push_back({.id = id,
                                .name = {},
                                .position_m = {},
                                .bandwidth_hz = 1e6,
                                .tx_power_w_max = 1,
                                .slots = std::nullopt,
                                .compute = compute});
  }
  scenario.links = {{{0, 1e-9}}, {{0, 1e-9}}, {{1, 1e-9}}};
  return scenario;
}

class Round : public testing::Test {
 protected:
  Round() {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "model");
    fs::copy(fs::path(DASHF_SOURCE_DIR) / "src/corpus/testdata/tokenizer.model", folder_ / "model");
    const auto tokenizer = corpus::Tokenizer::Load((folder_ / "model").string());
    const train::Model model = train::RandomModel(TinyConfig(tokenizer->vocab_size()), 1);
    EXPECT_TRUE(train::SaveModel(model, train::Precision::kFloat32, folder_ / "model"));
    launch_.folder = folder_ / "run";
    fs::create_directories(launch_.folder);
    launch_.program = DASHF_BINARY;
    launch_.scenario = ThreeUsers();
    launch_.model_folder = (folder_ / "model").string();
    launch_.method = "greedy";
    launch_.machine_flop_per_s = 1e10;
    launch_.turns = 2;
    launch_.training.epochs_user = 4;
    launch_.training.epochs_server = 8;
    launch_.training.learning_rate = 1e-2;
    launch_.training.tokens_max = 64;
    for (std::size_t n = 0; n < 3; ++n) launch_.data.push_back(MakeData(n));
  }
  ~Round() override { fs::remove_all(folder_); }

  UserFiles MakeData(std::size_t n) const {
    const fs::path user = folder_ / std::to_string(n);
    std::vector<corpus::Record> records;
    for (int i = 0; i < 8; ++i) {
      records.push_back({"Say it.", std::to_string(i), n == 0 ? "yes" : "no"});
    }
    UserFiles files{(user / "train.jsonl").string(), (user / "test.jsonl").string()};
    EXPECT_TRUE(WriteFileAtomically(files.train, corpus::WriteRecords(records)));
    EXPECT_TRUE(WriteFileAtomically(files.test, corpus::WriteRecords(records)));
    return files;
  }

  LaunchResult CarryOutWith(const std::string& failpoint) {
    if (!failpoint.empty()) launch_.environment = {"DASHF_FAILPOINT=" + failpoint};
    auto result = CarryOut(launch_, [this](const std::string& line) { said_ += line + "\n"; });
    EXPECT_TRUE(result) << result.error().Text();
    EXPECT_FALSE(fs::exists(launch_.folder / "private"));
    return result.value_or(LaunchResult{});
  }

  std::string FailureOf(const LaunchResult& result, std::size_t user) const {
    return result.record.users.at(user).failure.value_or("");
  }

  Expected<train::Adapter> AdapterOf(const std::string& user) const {
    const auto tokenizer = corpus::Tokenizer::Load(launch_.model_folder);
    return train::LoadAdapter(launch_.folder / "adapters" / user,
                              TinyConfig(tokenizer->vocab_size()));
  }
  bool HasAdapter(const std::string& user) const { return AdapterOf(user).has_value(); }

  // What a user's adapter is when this process trains it, by other settings or the round's.
  train::Adapter TrainedHere(std::size_t n, int k, const TrainingSettings& training) const {
    const auto base = LoadBaseModel(launch_.model_folder, training.storage);
    const auto samples = corpus::ReadSamples(launch_.data[n].train);
    const auto examples =
        corpus::TokenizeSamples(*samples, base->tokenizer, base->chat, training.tokens_max);
    auto adapter =
        train::InitialAdapter(base->model.config(), training.adapter, training.seed).value();
    EXPECT_TRUE(train::TrainUserPhase(base->model,
                                      *examples,
                                      k,
                                      training.objective,
                                      training.OptionsFor(training.epochs_user),
                                      &adapter));
    EXPECT_TRUE(train::TrainServerPhase(
        base->model, *examples, k, training.OptionsFor(training.epochs_server), &adapter));
    if (training.epochs_joint > 0) {
      train::TrainOptions joint = training.OptionsFor(training.epochs_joint);
      joint.seed = Rng(joint.seed).Stream("joint").Next();
      EXPECT_TRUE(train::TrainAllLayers(base->model, *examples, joint, &adapter));
    }
    return adapter;
  }

  // Every process that wrote telemetry.
  std::vector<pid_t> Pids() const {
    std::vector<pid_t> pids;
    std::ifstream file(launch_.folder / "telemetry.jsonl");
    for (std::string line; std::getline(file, line);) {
      pids.push_back(nlohmann::json::parse(line).at("pid").get<pid_t>());
    }
    return pids;
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("dashf_round_" + std::to_string(::getpid()));
  Launch launch_;
  std::string said_;
};

// Of one layer's factors on its first target.
float Distance(const train::Adapter& one, const train::Adapter& other, int layer) {
  const auto i = static_cast<std::size_t>(layer - 1);
  const std::vector<float>&a = one.layers[i][0].b, &b = other.layers[i][0].b;
  float largest = 0.0F;
  for (std::size_t j = 0; j < a.size(); ++j) largest = std::max(largest, std::abs(a[j] - b[j]));
  return largest;
}

TEST_F(Round, EveryUserEndsWithACheckedAdapterAndMeasuredPhases) {
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done()) << said_;
  for (const UserRecord& user : result.record.users) {
    SCOPED_TRACE(user.id);
    EXPECT_TRUE(HasAdapter(user.id));
    EXPECT_EQ(user.server, user.id == "u2" ? "s1" : "s0");
    EXPECT_TRUE(user.predicted_s.server && user.measured_s.server && user.measured_s.upload);
    ASSERT_TRUE(user.before.loss && user.after.loss);
    EXPECT_LT(*user.after.loss, *user.before.loss);  // Two answers are easily learnt.
    EXPECT_GT(user.upload_bytes.value_or(0), 0U);
    EXPECT_GT(user.download_bytes.value_or(0), 0U);
  }
  for (const pid_t pid : Pids()) EXPECT_NE(::kill(pid, 0), 0) << "a child outlived the run";
}

TEST_F(Round, RoundsFollowEachOtherAndUsersGoOnFromTheirBestAdapter) {
  launch_.rounds = 3;
  launch_.training.epochs_user = 1;
  launch_.training.epochs_server = 2;
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done()) << said_;
  EXPECT_EQ(result.record.number, 3U);
  std::vector<RoundRecord> rounds;
  for (const char* number : {"0001", "0002", "0003"}) {
    const fs::path path = launch_.folder / "rounds" / number / "round.json";
    auto record = ParseRound(path.string(), ReadFile(path).value_or(""));
    ASSERT_TRUE(record) << record.error().Text();
    rounds.push_back(std::move(*record));
  }
  for (std::size_t n = 0; n < 3; ++n) {
    SCOPED_TRACE(rounds[0].users[n].id);
    // Two answers are easily learnt: each round brings a good deal.
    EXPECT_LT(*rounds[1].users[n].after.loss, *rounds[0].users[n].after.loss - 0.03);
    EXPECT_LT(*rounds[2].users[n].after.loss, *rounds[1].users[n].after.loss - 0.03);
    // All layers travel from the second round on.
    EXPECT_GT(*rounds[1].users[n].upload_bytes, *rounds[0].users[n].upload_bytes);
  }
}

TEST_F(Round, AServerMayKeepTheClockSharesOfItsUsersStrictly) {
  launch_.work_conserving = false;
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done()) << said_;
  for (const UserRecord& user : result.record.users) {
    SCOPED_TRACE(user.id);
    EXPECT_TRUE(HasAdapter(user.id));
    EXPECT_GT(user.server_cpu_s.value_or(0.0), 0.0);
    ASSERT_TRUE(user.before.loss && user.after.loss);
    EXPECT_LT(*user.after.loss, *user.before.loss);
  }
}

// Never faster than planned, whatever the machine could do; how much slower is the machine's to say
// (dashf run prints it).
TEST_F(Round, AnEmulatedRoundGoesNoFasterThanItsPlanAndBringsTheSameAdapters) {
  ASSERT_TRUE(CarryOutWith("").record.Done()) << said_;
  std::vector<train::Adapter> unpaced;
  for (const char* user : {"u0", "u1", "u2"}) unpaced.push_back(AdapterOf(user).value());
  const Emulation emulation{.time_scale = 2.0, .machine_flop_per_s = 4e10};
  launch_.time_scale = emulation.time_scale;
  launch_.machine_flop_per_s = emulation.machine_flop_per_s;  // What it asks for.
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done() && result.record.emulation->cores_asked > 0.0) << said_;
  for (std::size_t n = 0; n < 3; ++n) {
    const UserRecord& user = result.record.users[n];
    SCOPED_TRACE(user.id);
    const int k = user.local_layers;
    const Pace pace = PaceOf(launch_.scenario.profiles[0], k, user.predicted_s, emulation);
    const PhaseSeconds& wall = user.measured_s;
    ASSERT_TRUE(pace.upload_bit_per_s > 0.0 && pace.server_s > 0.0);
    EXPECT_GE(*wall.upload * pace.upload_bit_per_s, 8.0 * static_cast<double>(*user.upload_bytes));
    EXPECT_GE(*wall.download * pace.download_bit_per_s,
              8.0 * static_cast<double>(*user.download_bytes));
    EXPECT_GE(*wall.server, 0.999 * pace.server_s);
    EXPECT_TRUE(k == 0 || *wall.local >= 0.999 * pace.local_s);
    EXPECT_DOUBLE_EQ(*user.measured_at_planned_s.upload, *wall.upload / 2.0);
    const train::Adapter adapter = AdapterOf(user.id).value();
    for (const int layer : {1, kLayers}) EXPECT_EQ(Distance(adapter, unpaced[n], layer), 0.0F);
  }
}

// What the program says as a node that cannot join.
std::string SaidBy(const NodeConfig& config, const fs::path& path) {
  EXPECT_TRUE(WriteFileAtomically(path, WriteNodeConfig(config)));
  const std::string name = Name(config.node), verb = name.substr(0, name.find('/'));
  std::FILE* const pipe =
      ::popen((DASHF_BINARY " " + verb + " --config " + path.string() + " 2>&1").c_str(), "r");
  std::string said;
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) said += static_cast<char>(c);
  EXPECT_NE(::pclose(pipe), 0);
  return said;
}

class TellsSettingsAndNothingElse final : public v1::Coordinator::Service {
 public:
  explicit TellsSettingsAndNothingElse(const TrainingSettings& training)
      : text_(WriteTrainingSettings(training)) {}
  grpc::Status Settings(grpc::ServerContext*,
                        const v1::SettingsRequest*,
                        v1::SettingsReply* reply) override {
    reply->set_settings(text_);
    return grpc::Status::OK;
  }
  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::NodeMessage>;
  grpc::Status Session(grpc::ServerContext*, Stream*) override {
    return {grpc::StatusCode::NOT_FOUND, "is not of this fleet"};
  }

 private:
  const std::string text_;
};

TEST_F(Round, ANodeSaysWhatItComputesWithAndWhatItTookUnlessItsMachinesRunHasSaidIt) {
  const auto authority = CertificateAuthority::Create();
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, "127.0.0.1:0", authority->Issue(CoordinatorNode()).value(), &port);
  TrainingSettings training = launch_.training;
  training.storage.weights = "int8";
  TellsSettingsAndNothingElse coordinator(training);
  builder.RegisterService(&coordinator);
  const auto listening = builder.BuildAndStart();
  NodeConfig config;
  config.folder = (folder_ / "node").string();
  config.coordinator = {"127.0.0.1:" + std::to_string(port)};
  config.model_folder = launch_.model_folder;
  config.server = {.device = launch_.scenario.servers[0], .listen = "127.0.0.1:0", .advertise = {}};
  config.user = {.device = launch_.scenario.users[0],
                 .profile = launch_.scenario.profiles[0],
                 .train_path = launch_.data[0].train,
                 .test_path = launch_.data[0].test,
                 .labels = {},
                 .adapter_folder = (folder_ / "adapter").string(),
                 .state_folder = (folder_ / "state").string()};
  const std::string start = "GFLOP/s per core; weights in int8, arithmetic in float32\n";
  for (const NodeId& node : {ServerNode("s0"), UserNode("u0")}) {
    config.node = node;
    ASSERT_TRUE(WriteCredentials(folder_ / "tls", node, authority->Issue(node).value()));
    config.tls = PathsIn(folder_ / "tls", node);
    config.gate_folder = "";
    const std::string said = SaidBy(config, folder_ / "node.json");
    EXPECT_THAT(said, HasSubstr(start));
    EXPECT_THAT(said, HasSubstr("coordinator: is not of this fleet"));
    for (const std::string& file : {launch_.data[0].train, launch_.data[0].test}) {
      const std::string took = file + ": 8 Alpaca records, 8 shortened to 64 tokens";
      EXPECT_EQ(said.find(took) != std::string::npos, node.role == Role::kUser) << said;
    }
    config.gate_folder = folder_.string();
    EXPECT_THAT(SaidBy(config, folder_ / "node.json"),
                AllOf(Not(HasSubstr(start)), Not(HasSubstr("Alpaca"))));
  }
}

TEST_F(Round, UsersAndServersHoldTheBaseAsTheConfigurationSays) {
  launch_.training.storage.weights = "nf4";
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done()) << said_;
  const UserRecord& user = result.record.users.at(2);
  const int k = user.local_layers;
  ASSERT_GT(k, 0);
  const auto adapter = AdapterOf("u2");
  ASSERT_TRUE(adapter) << adapter.error().Text();
  const train::Adapter same = TrainedHere(2, k, launch_.training);
  TrainingSettings other = launch_.training;
  other.storage = {};
  const train::Adapter float32 = TrainedHere(2, k, other);
  for (const int layer : {1, kLayers}) {  // The user's and the server's.
    EXPECT_LT(Distance(*adapter, same, layer), 0.01 * Distance(*adapter, float32, layer));
  }
}

TEST_F(Round, AfterJointEpochsTheUserHasAllLayersFromTheServer) {
  launch_.training.epochs_joint = 2;
  const LaunchResult result = CarryOutWith("");
  ASSERT_TRUE(result.record.Done()) << said_;
  const int k = result.record.users.at(2).local_layers;
  ASSERT_GT(k, 0);
  const auto adapter = AdapterOf("u2");
  ASSERT_TRUE(adapter) << adapter.error().Text();
  const train::Adapter same = TrainedHere(2, k, launch_.training);
  TrainingSettings other = launch_.training;
  other.epochs_joint = 0;
  const train::Adapter apart = TrainedHere(2, k, other);
  for (const int layer : {1, kLayers}) {
    EXPECT_LT(Distance(*adapter, same, layer), 0.01 * Distance(*adapter, apart, layer));
  }
}

TEST_F(Round, AUserKilledInItsUploadFailsAlone) {
  const LaunchResult result = CarryOutWith("user/u1:upload_begun");
  EXPECT_FALSE(result.record.Done());
  EXPECT_EQ(FailureOf(result, 1), "lost during upload");
  EXPECT_EQ(FailureOf(result, 0), "");
  EXPECT_EQ(FailureOf(result, 2), "");
  EXPECT_TRUE(HasAdapter("u0") && HasAdapter("u2"));
  EXPECT_FALSE(fs::exists(launch_.folder / "adapters" / "u1"));
  EXPECT_THAT(said_, HasSubstr("user/u1 ended: killed by signal 9"));
  EXPECT_THAT(said_, HasSubstr("logs/user-u1.log: round 1: upload"));  // Its last words.
  EXPECT_THAT(ReadFile(launch_.folder / "logs/coordinator.log").value_or(""),
              HasSubstr("user u1 FAILED: lost during upload"));
}

TEST_F(Round, AServerKilledInItsTrainingTakesItsOwnUsersAlone) {
  const LaunchResult result = CarryOutWith("server/s0:server");
  // Told by the coordinator, or first noticed by the user itself.
  EXPECT_THAT(FailureOf(result, 0), HasSubstr("server s0"));
  EXPECT_THAT(FailureOf(result, 1), HasSubstr("server s0"));
  EXPECT_EQ(FailureOf(result, 2), "");
  EXPECT_EQ(result.record.servers.at(0).failure, "lost");
  EXPECT_FALSE(fs::exists(launch_.folder / "adapters" / "u0"));
  EXPECT_TRUE(HasAdapter("u2"));
}

TEST_F(Round, UsersOfAServerThatIsKilledFinishOnTheOtherInThisRoundAndTheNext) {
  launch_.rounds = 2;
  launch_.method = "prices";
  launch_.handover_penalty = 0.1;
  for (auto& links : launch_.scenario.links) links = {{0, 1e-9}, {1, 1e-9}};
  const LaunchResult result = CarryOutWith("server/s0:server");
  ASSERT_TRUE(result.record.Done()) << said_;
  EXPECT_EQ(result.record.number, 2U);
  EXPECT_EQ(result.record.servers.at(0).failure, "lost");
  for (const UserRecord& user : result.record.users) {
    EXPECT_EQ(user.server, "s1");
    EXPECT_TRUE(HasAdapter(user.id));
  }
  const fs::path first = launch_.folder / "rounds/0001/round.json";
  const auto before = ParseRound(first.string(), ReadFile(first).value_or(""));
  ASSERT_TRUE(before) << before.error().Text();
  EXPECT_TRUE(before->Done());
  // The second round's plan goes on from the first's last.
  const std::string telemetry = ReadFile(launch_.folder / "telemetry.jsonl").value_or("");
  const auto planned = telemetry.rfind(R"("event":"planned")");
  ASSERT_NE(planned, std::string::npos);
  EXPECT_THAT(telemetry.substr(planned, telemetry.find('\n', planned) - planned),
              AllOf(HasSubstr(R"("round":2)"), HasSubstr(R"("handovers":0)")));
}

TEST_F(Round, AUserKilledAtTheLastMomentLeavesNothingHalfWritten) {
  const LaunchResult result = CarryOutWith("user/u2:verify");
  // Its last reports may have been on their way.
  EXPECT_THAT(FailureOf(result, 2), testing::StartsWith("lost during "));
  EXPECT_FALSE(fs::exists(launch_.folder / "adapters" / "u2"));
  EXPECT_EQ(FailureOf(result, 0), "");
}

TEST_F(Round, AKilledCoordinatorEndsTheRunWithoutARecordAndWithoutOrphans) {
  launch_.environment = {"DASHF_FAILPOINT=coordinator:planned"};
  const auto result = CarryOut(launch_, [](const std::string&) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kRoundFailed);
  for (const pid_t pid : Pids()) EXPECT_NE(::kill(pid, 0), 0) << "a child outlived the run";
}

TEST_F(Round, ATerminationSignalEndsTheRoundWithAnAccount) {
  const StopSignals blocked;  // Before any thread: this process is to survive its own signal.
  launch_.training.epochs_user = 100'000;
  std::thread terminator([] {
    std::this_thread::sleep_for(std::chrono::seconds(3));
    ::kill(::getpid(), SIGTERM);
  });
  const LaunchResult result = CarryOutWith("");
  terminator.join();
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_FALSE(result.record.Done());
}

// A node started by hand with credentials that are no good.
class NodeStart : public Round {
 protected:
  // Its exit code and what it said.
  std::pair<int, std::string> StartUser(const Credentials& credentials) {
    NodeConfig config;
    config.node = UserNode("u0");
    config.folder = (folder_ / "node").string();
    config.coordinator = {"127.0.0.1:1"};
    EXPECT_TRUE(WriteCredentials(folder_ / "tls", config.node, credentials));
    config.tls = PathsIn(folder_ / "tls", config.node);
    config.model_folder = launch_.model_folder;
    config.user = {.device = launch_.scenario.users[0],
                   .profile = launch_.scenario.profiles[0],
                   .train_path = launch_.data[0].train,
                   .test_path = launch_.data[0].test,
                   .labels = {},
                   .adapter_folder = (folder_ / "adapter").string(),
                   .state_folder = (folder_ / "state").string()};
    const fs::path path = folder_ / "user.json", log = folder_ / "log";
    EXPECT_TRUE(WriteFileAtomically(path, WriteNodeConfig(config)));
    const std::string command =
        std::string(DASHF_BINARY) + " user --config " + path.string() + " 2> " + log.string();
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), ReadFile(log).value_or("")};
  }
};

TEST_F(NodeStart, AnExpiredCertificateIsExitCode9WithFileAndDate) {
  const auto authority = CertificateAuthority::Create().value();
  const Validity past{.from = std::chrono::hours(-48), .until = std::chrono::hours(-24)};
  const auto [code, said] = StartUser(authority.Issue(UserNode("u0"), past).value());
  EXPECT_EQ(code, 9);
  EXPECT_THAT(said, HasSubstr("user-u0.pem: the certificate expired on "));
}

TEST_F(NodeStart, AnotherNodesCertificateIsExitCode9) {
  const auto authority = CertificateAuthority::Create().value();
  const auto [code, said] = StartUser(authority.Issue(ServerNode("s0")).value());
  EXPECT_EQ(code, 9);
  EXPECT_THAT(said, HasSubstr("names 'server/s0', but this node is 'user/u0'"));
}

}  // namespace
}  // namespace dashf::runtime
