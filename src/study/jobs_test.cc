#include "study/jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "study/cost.h"
#include "study/summary.h"
#include "study/testing.h"
#include "study/workers.h"

namespace dashf::study {
namespace {

using ::testing::HasSubstr;
using testing::RandomUser;
using testing::TinyAdapter;
using testing::TinyConfig;
using train::UserObjective;

const nlohmann::ordered_json kSettings = {{"model", "tiny"}, {"passes", 2}};

train::TrainOptions TinyTraining() {
  train::TrainOptions options;
  options.batch_size = 3;
  options.learning_rate = 1e-2;
  return options;
}

struct Fixture {
  train::Model model = train::RandomModel(TinyConfig(), 1);
  std::vector<Repetition> repetitions = {{1, {RandomUser(6, 2), RandomUser(6, 3)}}};
  Design design{.adapter = TinyAdapter(),
                .training = TinyTraining(),
                .passes = 2,
                .schedules = {{}, {.rounds = 2, .joint = 0.25}},
                .objectives = {UserObjective::kEarlyExit, UserObjective::kFullDepth},
                .splits = {0, 1, 2}};
  std::filesystem::path out = std::filesystem::path(::testing::TempDir()) /
                              fmt::format("study-{}-{}", ::getpid(), NextNumber());
  int ended = 0;
  int stop_after = 1000;  // Jobs.

  ~Fixture() { std::filesystem::remove_all(out); }
  static int NextNumber() {
    static int number = 0;
    return ++number;
  }
  Expected<Results> OpenResults() const { return Results::Open(out / "results.jsonl", kSettings); }
  Expected<Tally> Go(Results* results) {
    return CarryOutAll(model,
                       repetitions,
                       design,
                       {.out = out,
                        .processes = 2,
                        .base_name = "tiny",
                        .stopped = [this] { return ended >= stop_after; },
                        .progress = [this](const std::string&) { ++ended; }},
                       results);
  }
};

// What a result is worth: not the times and the memory, which differ from run to run.
void ExpectSame(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.loss, b.loss) << a.training;
  EXPECT_EQ(a.exact_match, b.exact_match);
  EXPECT_EQ(a.at_user.flop, b.at_user.flop);
  EXPECT_EQ(a.at_server.flop, b.at_server.flop);
  EXPECT_EQ(a.up_bytes, b.up_bytes);
  EXPECT_EQ(a.down_bytes, b.down_bytes);
}

TEST(Study, StepsOfSeveralBatchesAreCountedAsTheyAreTaken) {
  Fixture setup;
  setup.design.training.accumulate = 2;  // 6 examples are one step of two batches.
  auto results = setup.OpenResults();
  ASSERT_TRUE(results) << results.error().Text();
  const auto tally = setup.Go(&*results);
  ASSERT_TRUE(tally) << tally.error().Text();
  EXPECT_GT(tally->jobs, 0);
  EXPECT_EQ(tally->done, tally->jobs);
}

// Stopped twice and cut in mid-line once.
TEST(Study, AStoppedStudyGoesOnToTheSameResults) {
  Fixture whole, stopped;
  auto expected = whole.OpenResults();
  ASSERT_TRUE(expected) << expected.error().Text();
  const auto tally = whole.Go(&*expected);
  ASSERT_TRUE(tally) << tally.error().Text();
  EXPECT_EQ(tally->done, tally->jobs);
  for (const int stop_after : {3, 5, 1000}) {
    stopped.stop_after = stop_after;
    auto results = stopped.OpenResults();
    ASSERT_TRUE(results) << results.error().Text();
    ASSERT_TRUE(stopped.Go(&*results));
    if (stop_after == 3) {
      std::ofstream(stopped.out / "results.jsonl", std::ios::app) << R"({"seed":1,"us)";
    }
  }
  EXPECT_EQ(stopped.ended, whole.ended);  // Nothing was done twice.
  const auto resumed = stopped.OpenResults();
  ASSERT_TRUE(resumed) << resumed.error().Text();
  ASSERT_EQ(resumed->size(), expected->size());
  const auto a = Summarise(TinyConfig(), whole.repetitions, whole.design, *expected);
  const auto b = Summarise(TinyConfig(), stopped.repetitions, stopped.design, *resumed);
  ASSERT_TRUE(a && b);
  ASSERT_EQ(a->arms.size(), 6U);  // Both ends, and k = 1 in two schedules and objectives.
  ASSERT_EQ(b->arms.size(), 6U);
  for (std::size_t i = 0; i < a->arms.size(); ++i) {
    EXPECT_EQ(a->arms[i].result.loss, b->arms[i].result.loss);
    EXPECT_EQ(a->arms[i].result.loss_lost_equal_flop.mean,
              b->arms[i].result.loss_lost_equal_flop.mean);
    EXPECT_EQ(a->arms[i].result.pairs, 2);
  }
  EXPECT_EQ(a->shared.size(), 3U);
  const std::string training = "user 1-1 early_exit x2, server 2-2 x2";
  const auto one = expected->Find(1, 1, training, whole.repetitions[0].users[1].sha256);
  const auto same = resumed->Find(1, 1, training, whole.repetitions[0].users[1].sha256);
  ASSERT_TRUE(one && same && *one != nullptr && *same != nullptr);
  ExpectSame(**one, **same);
}

// All-local at full depth and all-server are the training of all layers in one place.
TEST(Study, BothEndsEqualCentralisedTrainingBitForBit) {
  const Fixture setup;
  const UserData& user = setup.repetitions[0].users[0];
  const auto trained = [&](const std::vector<Phase>& phases) {
    auto adapter = *train::InitialAdapter(TinyConfig(), TinyAdapter(), 5);
    const auto outcome = CarryOut(setup.model, user, phases, setup.design.training, 5, &adapter);
    EXPECT_TRUE(outcome) << outcome.error().Text();
    return adapter;
  };
  train::Adapter centralised = *train::InitialAdapter(TinyConfig(), TinyAdapter(), 5);
  train::TrainOptions options = setup.design.training;
  options.seed = 5;
  options.epochs = setup.design.passes;
  ASSERT_TRUE(train::TrainAllLayers(setup.model, user.train, options, &centralised));
  for (const int k : {0, 2}) {
    EXPECT_EQ(trained(PhasesOf(Arm{.k = k}, setup.design, 2, user)), centralised);
  }
  const Arm split{.objective = UserObjective::kFullDepth, .k = 1};
  EXPECT_NE(trained(PhasesOf(split, setup.design, 2, user)), centralised);
}

TEST(Study, AnEqualFlopReferenceIsTheNearestNumberOfSteps) {
  Fixture setup;
  setup.design.passes = 10;
  const UserData& user = setup.repetitions[0].users[0];
  for (const Arm& arm : ArmsOf(setup.design, 2)) {
    const auto phases = PhasesOf(arm, setup.design, 2, user);
    const auto equal = ReferenceOfEqualFlop(phases, setup.design, TinyConfig(), user);
    const auto flop = [&](const std::vector<Phase>& some) {
      return FlopOf(TinyConfig(), TinyAdapter(), train::VolumeOf(user.train), 2, some).Total();
    };
    const double step = flop(equal) / equal[0].steps;
    EXPECT_LE(std::abs(flop(phases) - flop(equal)), 0.5 * step * (1 + 1e-12));
  }
}

TEST(Study, OtherSettingsOtherDataAndASecondStudyAreRefused) {
  Fixture setup;
  setup.design.schedules = {};
  setup.design.averages = false;
  auto results = setup.OpenResults();
  ASSERT_TRUE(results && setup.Go(&*results));
  const std::filesystem::path path = setup.out / "results.jsonl";
  const auto second = Results::Open(path, kSettings);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("in use by another process"));
  results = tl::unexpected(Error{});  // Gives the file free.
  const auto other = Results::Open(path, {{"model", "tiny"}, {"passes", 3}});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(other.error().message, HasSubstr("has results for passes = 2, not 3"));
  setup.repetitions[0].users[1] = RandomUser(6, 4);
  results = setup.OpenResults();
  ASSERT_TRUE(results);
  const auto tally = setup.Go(&*results);
  ASSERT_FALSE(tally);
  EXPECT_THAT(tally.error().message, HasSubstr("results of seed 1 for user 1 on other data"));
}

TEST(Study, AJobThatFailsLeavesTheOthers) {
  Fixture setup;
  setup.repetitions[0].users[1].train[0].tokens[0] = 19;  // Beyond the vocabulary.
  setup.design.averages = false;
  auto results = setup.OpenResults();
  ASSERT_TRUE(results);
  const auto tally = setup.Go(&*results);
  ASSERT_TRUE(tally) << tally.error().Text();
  EXPECT_EQ(tally->failed, tally->jobs / 2);
  EXPECT_EQ(tally->done, tally->jobs / 2);
  const auto summary = Summarise(TinyConfig(), setup.repetitions, setup.design, *results);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->pairs, 1);
}

TEST(Workers, AJobThatCrashesIsItsOwnLossAlone) {
  std::vector<std::string> texts(4);
  const auto ran = RunInChildren(
      4,
      2,
      [](std::size_t i) -> Expected<std::string> {
        if (i == 1) std::abort();
        if (i == 2) return Fail(ErrorKind::kBadInput, "place", "rule");
        return std::string(100000, static_cast<char>('a' + i));  // More than a pipe holds.
      },
      [&texts](std::size_t i, const Expected<std::string>& text) {
        texts[i] = text ? *text : text.error().Text();
      },
      [] { return false; });
  ASSERT_TRUE(ran);
  EXPECT_EQ(texts[0], std::string(100000, 'a'));
  EXPECT_THAT(texts[1], HasSubstr("killed by signal 6"));
  EXPECT_EQ(texts[2], "place: rule");
  EXPECT_EQ(texts[3], std::string(100000, 'd'));
}

}  // namespace
}  // namespace dashf::study
