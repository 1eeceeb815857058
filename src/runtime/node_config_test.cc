#include "runtime/node_config.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

NodeConfig UserConfig() {
  NodeConfig config;
  config.node = UserNode("u3");
  config.round = 2;
  config.coordinator = "127.0.0.1:4000";
  config.tls = {"ca", "certificate", "key"};
  config.training.objective = train::UserObjective::kFullDepth;
  config.training.adapter.kind = train::AdapterKind::kAdaptionPrompt;
  config.training.adapter.prompt.length = 7;
  config.training.adapter.lora.targets = {"o_proj"};
  config.training.schedule = {train::ScheduleShape::kLinear, 0.25};
  config.training.accumulate = 3;
  config.training.epochs_joint = 2;
  config.training.users_per_batch = 5;
  config.training.storage = {.arithmetic = "auto", .weights = "nf4"};
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

TEST(NodeConfig, SurvivesItsFile) {
  const std::string text = WriteNodeConfig(UserConfig());
  const auto read = ParseNodeConfig("user.json", text, Role::kUser);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteNodeConfig(*read), text);
  EXPECT_EQ(read->training.objective, train::UserObjective::kFullDepth);
  EXPECT_EQ(read->training.adapter, UserConfig().training.adapter);
  EXPECT_EQ(read->training.schedule, UserConfig().training.schedule);
  EXPECT_EQ(read->training.accumulate, 3);
  EXPECT_EQ(read->training.epochs_joint, 2);
  EXPECT_EQ(read->training.users_per_batch, 5);
  EXPECT_EQ(read->training.storage, UserConfig().training.storage);
}

TEST(NodeConfig, WeightsThatTheArithmeticCannotTakeAreRefusedByName) {
  NodeConfig config = UserConfig();
  const auto failure_of = [&config](const train::StorageChoice& choice) {
    config.training.storage = choice;
    return ParseNodeConfig("user.json", WriteNodeConfig(config), Role::kUser).error();
  };
  const Error unknown = failure_of({.arithmetic = "float16"});
  EXPECT_EQ(unknown.kind, ErrorKind::kBadInput);
  EXPECT_THAT(unknown.Text(),
              HasSubstr("user.json: training.arithmetic: must be one of: float32, bfloat16, auto, "
                        "got float16"));
  EXPECT_THAT(failure_of({.arithmetic = "bfloat16", .weights = "int8"}).Text(),
              HasSubstr("user.json: training.weights: must be bfloat16 or auto"));
}

TEST(NodeConfig, AnotherRolesFileAndABrokenOneAreRefusedByName) {
  std::string text = WriteNodeConfig(UserConfig());
  EXPECT_THAT(ParseNodeConfig("user.json", text, Role::kServer).error().Text(),
              HasSubstr("this verb's role"));
  const std::string key = "\"batch_size\": 8";
  text.replace(text.find(key), key.size(), "\"batch_size\": 0");
  const auto read = ParseNodeConfig("user.json", text, Role::kUser);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().Text(), HasSubstr("user.json: training.batch_size"));
}

}  // namespace
}  // namespace dashf::runtime
