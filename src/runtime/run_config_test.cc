#include "runtime/run_config.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string FailureOf(const std::string& text) {
  const auto config = ParseRunConfig("run.toml", text);
  return config ? "" : config.error().Text();
}

TEST(RunConfig, AnEmptyFileIsTheDefaults) {
  const auto config = ParseRunConfig("run.toml", "");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->scenario.users, 10);
  EXPECT_EQ(config->plan.method, "prices");
}

TEST(RunConfig, EveryKeyIsRead) {
  const auto config = ParseRunConfig("run.toml", R"(
    [scenario]
    users = 4
    servers = 3
    seed = 7
    delay = "makespan"
    bandwidth_hz = 1e6
    machine_share = 0.5
    [plan]
    method = "greedy"
    seed = 9
    [compare]
    methods = ["dashf", "greedy"]
    [model]
    path = "m"
    [data]
    file = "d.json"
    train_records = 5
    test_records = 6
    seed = 8
    [adapter]
    rank = 4
    alpha = 8
    targets = ["q_proj"]
    rank_stabilized = true
    type = "adaption_prompt"
    length = 5
    [training]
    objective = "full_depth"
    epochs_user = 2
    epochs_server = 5
    epochs_joint = 1
    learning_rate = 1e-3
    batch_size = 16
    accumulate = 2
    schedule = "cosine"
    warmup = 0.1
    weight_decay = 0.01
    tokens_max = 64
    arithmetic = "auto"
    weights = "int8"
    seed = 3
    [references]
    all_server = false
    centralised = false)");
  ASSERT_TRUE(config) << config.error().Text();
  EXPECT_EQ(config->scenario.delay, "makespan");
  EXPECT_EQ(config->scenario.bandwidth_hz, 1e6);
  EXPECT_EQ(config->plan.seed, 9U);
  EXPECT_THAT(config->plan.compare, ElementsAre("dashf", "greedy"));
  EXPECT_EQ(config->data.file, "d.json");
  EXPECT_EQ(config->training.adapter.lora.alpha, 8.0);  // An integer where a number is wanted.
  EXPECT_THAT(config->training.adapter.lora.targets, ElementsAre("q_proj"));
  EXPECT_TRUE(config->training.adapter.lora.rank_stabilized);
  EXPECT_EQ(config->training.adapter.kind, train::AdapterKind::kAdaptionPrompt);
  EXPECT_EQ(config->training.adapter.prompt.length, 5);
  EXPECT_EQ(config->training.objective, train::UserObjective::kFullDepth);
  EXPECT_EQ(config->training.epochs_server, 5);
  EXPECT_EQ(config->training.epochs_joint, 1);
  EXPECT_EQ(config->training.storage,
            (train::StorageChoice{.arithmetic = "auto", .weights = "int8"}));
  const train::TrainOptions options = config->training.OptionsFor(2);
  EXPECT_EQ(options.accumulate, 2);
  EXPECT_EQ(options.schedule, (train::LearningRateSchedule{train::ScheduleShape::kCosine, 0.1}));
  EXPECT_EQ(options.weight_decay, 0.01);
  EXPECT_FALSE(config->references.centralised);
}

TEST(RunConfig, SlowsDownUsersThatThereAre) {
  const std::string emulated = "[scenario]\nusers = 3\n[emulation]\ntime_scale = 1\n";
  EXPECT_EQ(FailureOf(emulated + "[emulation.slowdown]\nu2 = 2.0\n"), "");
  for (const std::string user : {"u3", "u02", "s0", "u"}) {
    EXPECT_THAT(FailureOf(emulated + "[emulation.slowdown]\n" + user + " = 2.0\n"),
                HasSubstr("[emulation] slowdown: must name users, u0 to u2, got '" + user + "'"));
  }
  EXPECT_EQ(FailureOf("[scenario]\nfile = 's.json'\n[emulation]\ntime_scale = 1\n"
                      "[emulation.slowdown]\nada = 2.0\n"),
            "");
}

TEST(RunConfig, ErrorsNameFileSectionKeyRuleValueAndLine) {
  EXPECT_THAT(FailureOf("[training]\nepochs = 3"),
              AllOf(HasSubstr("run.toml: [training] epochs"),
                    HasSubstr("not a known key"),
                    HasSubstr("line 2")));
  EXPECT_THAT(FailureOf("[trainning]"), HasSubstr("[trainning] is not a known section"));
  EXPECT_THAT(FailureOf("[scenario]\nusers = 0"), HasSubstr("[1, 1000000], got 0 (line 2)"));
  EXPECT_THAT(FailureOf("[scenario]\nusers = 2.5"), HasSubstr("must be an integer"));
  EXPECT_THAT(FailureOf("[scenario]\nbandwidth_hz = nan"), HasSubstr("must be a number > 0"));
  EXPECT_THAT(FailureOf("[scenario]\ndelay = \"max\""), HasSubstr("one of: sum, makespan"));
  EXPECT_THAT(FailureOf("[training]\nwarmup = -1"), HasSubstr("must be a number >= 0, got -1"));
  EXPECT_THAT(FailureOf("[training]\nwarmup = 2.5"), HasSubstr("[training]: warmup: must be a"));
  EXPECT_THAT(FailureOf("[training]\narithmetic = \"float16\""),
              HasSubstr("run.toml: [training] arithmetic: must be one of: float32, bfloat16, auto, "
                        "got 'float16' (line 2)"));
  EXPECT_THAT(FailureOf("[training]\nweights = \"int4\""), HasSubstr("auto, float32, bfloat16"));
  EXPECT_THAT(FailureOf("[training]\narithmetic = \"bfloat16\"\nweights = \"nf4\""),
              HasSubstr("run.toml: [training]: weights: must be bfloat16 or auto"));
  EXPECT_THAT(FailureOf("[adapter]\ntargets = [1]"), HasSubstr("list of strings"));
  EXPECT_THAT(FailureOf("[adapter]\ntype = \"ia3\""), HasSubstr("one of: lora, adaption_prompt"));
  EXPECT_THAT(FailureOf("[model]\npath = true"), HasSubstr("must be a string"));
  EXPECT_THAT(FailureOf("[data]\nfile = \"a\"\nfolder = \"b\""), HasSubstr("at most one of"));
  EXPECT_THAT(FailureOf("scenario = 3"), HasSubstr("must be a table"));
  EXPECT_THAT(FailureOf("[scenario\n"), HasSubstr("run.toml:1"));
}

}  // namespace
}  // namespace dashf::runtime
