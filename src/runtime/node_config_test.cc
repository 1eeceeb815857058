#include "runtime/node_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <thread>

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

NodeConfig UserConfig() {
  NodeConfig config;
  config.node = UserNode("u3");
  config.folder = "/n";
  config.coordinator = {"127.0.0.1:4000", "[2001:db8::1]:4000", "c.example.org:1"};
  config.tls = {"/n/ca", "/n/certificate", "/n/key"};
  config.model_folder = "/m";
  config.user.train_path = "/n/train";
  config.user.test_path = "/n/test";
  config.user.adapter_folder = "/n/adapter";
  config.threads = 3;
  config.checkpoint_interval_s = 0.0;
  config.user.device.compute = {.clock_hz_max = 1, .flop_per_cycle = 2, .kappa_w_per_hz3 = 0};
  config.user.device.tx_power_w_max = 0.1;
  config.user.device.memory_bytes_max = 1e9;
  config.user.profile = {.name = "",
                         .local_flop = {0, 1},
                         .server_flop = {1, 0},
                         .upload_bit = {1, 0},
                         .download_bit = {1, 0},
                         .local_memory_bytes = {0, 1}};
  config.user.labels = {"a", "b"};
  return config;
}

NodeConfig CoordinatorConfig() {
  NodeConfig config;
  config.node = CoordinatorNode();
  config.folder = "/c";
  config.tls = {"/c/ca", "/c/certificate", "/c/key", "/c/revoked"};
  config.training.objective = train::UserObjective::kFullDepth;
  config.training.adapter.kind = train::AdapterKind::kAdaptionPrompt;
  config.training.adapter.prompt.length = 7;
  config.training.adapter.lora.targets = {"o_proj"};
  config.training.schedule = {train::ScheduleShape::kLinear, 0.25};
  config.training.accumulate = 3;
  config.training.epochs_joint = 2;
  config.training.storage = {.arithmetic = "auto", .weights = "nf4"};
  config.coordinator_kit.listen = "127.0.0.1:7440";
  config.coordinator_kit.machine_flop_per_s = 1.0;
  return config;
}

TEST(NodeConfig, SurvivesItsFile) {
  const std::string text = WriteNodeConfig(UserConfig());
  const auto read = ParseNodeConfig("user.json", text, Role::kUser);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteNodeConfig(*read), text);
  EXPECT_EQ(read->Threads(), 3);
  EXPECT_EQ(read->checkpoint_interval_s, 0.0);
}

TEST(NodeConfig, TheCoordinatorsFileSaysHowTheFleetTrainsAndNoOther) {
  const std::string text = WriteNodeConfig(CoordinatorConfig());
  const auto read = ParseNodeConfig("c.json", text, Role::kCoordinator);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteNodeConfig(*read), text);
  const TrainingSettings& training = read->training;
  EXPECT_EQ(training.objective, train::UserObjective::kFullDepth);
  EXPECT_EQ(training.adapter, CoordinatorConfig().training.adapter);
  EXPECT_EQ(training.schedule, CoordinatorConfig().training.schedule);
  EXPECT_EQ(training.accumulate, 3);
  EXPECT_EQ(training.epochs_joint, 2);
  EXPECT_EQ(training.storage, CoordinatorConfig().training.storage);

  auto user = nlohmann::json::parse(WriteNodeConfig(UserConfig()));
  EXPECT_FALSE(user.contains("training"));
  user["training"] = nlohmann::json::parse(text).at("training");
  const auto refused = ParseNodeConfig("u.json", user.dump(), Role::kUser);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(refused.error().Text(),
              HasSubstr("u.json: training: is the coordinator's to set: take it out of this file"));
}

TEST(NodeConfig, ALivePageThatOtherMachinesReachNeedsAToken) {
  NodeConfig config = CoordinatorConfig();
  const auto read = [&config] {
    return ParseNodeConfig("/c/node.json", WriteNodeConfig(config), Role::kCoordinator);
  };
  for (const char* own : {"127.0.0.1:0", "127.9.9.9:80", "localhost:80", "[::1]:80"}) {
    config.coordinator_kit.live = {own, "live-address", ""};
    const auto sound = read();
    ASSERT_TRUE(sound) << sound.error().Text();
    EXPECT_EQ(sound->coordinator_kit.live.address_path, "/c/live-address");
  }
  for (const char* far : {"0.0.0.0:80", "[::]:80", "10.0.0.1:80", "edge.example.org:80"}) {
    config.coordinator_kit.live = {far, "", ""};
    const auto refused = read();
    ASSERT_FALSE(refused) << far;
    EXPECT_THAT(refused.error().Text(), HasSubstr("coordinator_kit.live.token_file: is needed"));
    config.coordinator_kit.live.token_path = "token";
    EXPECT_EQ(read()->coordinator_kit.live.token_path, "/c/token");
  }
}

TEST(NodeConfig, WeightsThatTheArithmeticCannotTakeAreRefusedByName) {
  NodeConfig config = CoordinatorConfig();
  const auto failure_of = [&config](const train::StorageChoice& choice) {
    config.training.storage = choice;
    return ParseNodeConfig("c.json", WriteNodeConfig(config), Role::kCoordinator).error();
  };
  const Error unknown = failure_of({.arithmetic = "float16"});
  EXPECT_EQ(unknown.kind, ErrorKind::kBadInput);
  EXPECT_THAT(unknown.Text(),
              HasSubstr("c.json: training.arithmetic: must be one of: float32, bfloat16, auto, "
                        "got float16"));
  EXPECT_THAT(failure_of({.arithmetic = "bfloat16", .weights = "int8"}).Text(),
              HasSubstr("c.json: training.weights: must be bfloat16 or auto"));
}

TEST(NodeConfig, AnotherRolesFileAndABrokenOneAreRefusedByName) {
  EXPECT_THAT(
      ParseNodeConfig("user.json", WriteNodeConfig(UserConfig()), Role::kServer).error().Text(),
      HasSubstr("this verb's role"));
  std::string text = WriteNodeConfig(CoordinatorConfig());
  const std::string key = "\"batch_size\": 8";
  text.replace(text.find(key), key.size(), "\"batch_size\": 0");
  const auto read = ParseNodeConfig("c.json", text, Role::kCoordinator);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().Text(), HasSubstr("c.json: training.batch_size"));
}

std::string ReplacedIn(std::string text, const std::string& old, const std::string& by) {
  text.replace(text.find(old), old.size(), by);
  return text;
}

TEST(NodeConfig, RelativePathsAreMeantFromTheFilesFolder) {
  NodeConfig config = UserConfig();
  config.folder = ".";
  config.tls = {"ca.pem", "node.pem", "node.key"};
  config.user.train_path = "../data/train.jsonl";
  const auto read =
      ParseNodeConfig("/etc/dashf/u3/node.json", WriteNodeConfig(config), Role::kUser);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(read->folder, "/etc/dashf/u3/");
  EXPECT_EQ(read->tls.key, "/etc/dashf/u3/node.key");
  EXPECT_EQ(read->tls.revoked, "");
  EXPECT_EQ(read->user.train_path, "/etc/dashf/data/train.jsonl");
  EXPECT_EQ(read->model_folder, "/m");
}

TEST(NodeConfig, AddressesThatCannotWorkAreRefusedWhenTheFileIsRead) {
  const std::string user = WriteNodeConfig(UserConfig());
  const std::string second = "[2001:db8::1]:4000";
  for (const auto& [by, rule] : {std::pair("0.0.0.0:4000", "not every one of the machine"),
                                 {"c:0", "must have a port from 1"},
                                 {"c", "the port is missing"},
                                 {"c :1", "must be a host name"},
                                 {"2001:db8::1:4000", "an IPv6 address in brackets"}}) {
    const auto read = ParseNodeConfig("u.json", ReplacedIn(user, second, by), Role::kUser);
    ASSERT_FALSE(read) << by;
    EXPECT_THAT(read.error().Text(), HasSubstr("u.json: coordinator[1]: "));
    EXPECT_THAT(read.error().Text(), HasSubstr(rule));
  }
  NodeConfig config = UserConfig();
  config.coordinator.clear();
  EXPECT_THAT(ParseNodeConfig("u.json", WriteNodeConfig(config), Role::kUser).error().Text(),
              HasSubstr("u.json: coordinator: must have one address at least"));
}

TEST(NodeConfig, WhereAServerListensAndWhatUsersAreToldMustAgree) {
  NodeConfig config = UserConfig();
  config.node = ServerNode("s0");
  config.server.device = {.id = {},
                          .name = {},
                          .position_m = {},
                          .bandwidth_hz = 1e6,
                          .tx_power_w_max = 1,
                          .slots = std::nullopt,
                          .compute = config.user.device.compute};
  const auto failure_of = [&config](const std::string& listen,
                                    const std::vector<std::string>& advertise) {
    config.server.listen = listen;
    config.server.advertise = advertise;
    const auto read = ParseNodeConfig("s.json", WriteNodeConfig(config), Role::kServer);
    return read ? "" : read.error().Text();
  };
  EXPECT_EQ(failure_of("[::]:7443", {"edge1.example.org:17443", "192.0.2.7:7443"}), "");
  EXPECT_EQ(failure_of("127.0.0.1:0", {}), "");
  EXPECT_THAT(failure_of("0.0.0.0:7443", {}), HasSubstr("s.json: server.advertise: must name"));
  EXPECT_THAT(failure_of("[::]:0", {"edge1:7443"}), HasSubstr("s.json: server.listen: must have"));
  EXPECT_THAT(failure_of("edge1", {}), HasSubstr("s.json: server.listen: must be HOST:PORT"));
  EXPECT_THAT(failure_of("[::]:7443", {"edge1:7443", "[::]:7443"}),
              HasSubstr("s.json: server.advertise[1]: must be one address"));
}

TEST(NodeConfig, AMachineOfItsOwnGivesAllItsCoresAndASharedOneASingleOne) {
  NodeConfig config;
  EXPECT_GE(config.Threads(), 1);
  EXPECT_EQ(config.Threads(), std::max(1U, std::thread::hardware_concurrency()));
  config.gate_folder = "/run/gate";
  EXPECT_EQ(config.Threads(), 1);
  config.threads = 2;
  EXPECT_EQ(config.Threads(), 2);
}

TEST(NodeConfig, AServersWayOfSharingIsItsOwnToSay) {
  NodeConfig config = UserConfig();
  config.node = ServerNode("s0");
  config.server.device.compute = config.user.device.compute;
  config.server.device.bandwidth_hz = config.server.device.tx_power_w_max = 1.0;
  config.server.listen = "127.0.0.1:0";
  config.server.work_conserving = false;
  config.server.memory_bytes_max = 123;
  const std::string text = WriteNodeConfig(config);
  const auto read = ParseNodeConfig("s.json", text, Role::kServer);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteNodeConfig(*read), text);
  EXPECT_FALSE(read->server.work_conserving);
  EXPECT_EQ(read->server.memory_bytes_max, 123U);
  const auto without = ParseNodeConfig(
      "s.json", ReplacedIn(text, ",\n    \"work_conserving\": false", ""), Role::kServer);
  ASSERT_TRUE(without) << without.error().Text();
  EXPECT_TRUE(without->server.work_conserving);
}

TEST(NodeConfig, FilesOfAnotherVersionAndUnknownKeysAreRefused) {
  const std::string user = WriteNodeConfig(UserConfig());
  EXPECT_THAT(
      ParseNodeConfig("u.json", ReplacedIn(user, "dashf.node/3", "dashf.node/2"), Role::kUser)
          .error()
          .Text(),
      HasSubstr("u.json: schema: must be dashf.node/3, in which only the coordinator's file"));
  EXPECT_THAT(ParseNodeConfig("u.json", ReplacedIn(user, "\"folder\"", "\"fodler\""), Role::kUser)
                  .error()
                  .Text(),
              HasSubstr("u.json: "));
}

TEST(NodeConfig, ALeaseOutlastsASignOfLifeThatIsLate) {
  NodeConfig config = CoordinatorConfig();
  for (const auto& [lease_s, taken] : {std::pair(4.9, false), {5.0, true}}) {
    config.coordinator_kit.policy.lease_s = lease_s;
    const auto read = ParseNodeConfig("c.json", WriteNodeConfig(config), Role::kCoordinator);
    EXPECT_EQ(read.has_value(), taken);
    if (taken) continue;
    EXPECT_THAT(read.error().Text(), HasSubstr("coordinator_kit.policy.lease_s: must"));
  }
}

}  // namespace
}  // namespace dashf::runtime
