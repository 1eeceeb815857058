#include "runtime/kept_phase.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;
using train::testing::RandomAdapter;
using train::testing::RandomExamples;
using train::testing::TinyConfig;
using train::testing::TinyModel;
namespace fs = std::filesystem;

// Layers 2..3 of a user with hidden states below, 7 steps.
class Kept : public testing::Test {
 protected:
  Kept() {
    settings_.epochs_server = 1;
    settings_.batch_size = 2;
    fs::create_directories(folder_);
    fs::remove(folder_ / "checkpoint");
    fs::remove(folder_ / "telemetry.jsonl");
    telemetry_.emplace(*Telemetry::Open(folder_ / "telemetry.jsonl", UserNode("u0")));
  }

  PhaseWork Work(std::uint32_t round = 1) const {
    PhaseWork work{model_,
                   examples_,
                   2,
                   3,
                   train::UserObjective::kFullDepth,
                   settings_.OptionsFor(1),
                   adapter_,
                   {}};
    work.identity = IdentityOf(work, "digest", round, settings_);
    return work;
  }

  // As a process of its own would begin; every call of its clock is a second later.
  KeptPhase Begin(double interval_s, const PhaseWork& work, EnergyMeter* meter = nullptr) {
    auto phase = KeptPhase::Begin({.path = folder_ / "checkpoint",
                                   .interval_s = interval_s,
                                   .node = UserNode("u0"),
                                   .telemetry = &*telemetry_,
                                   .about = {{"round", 1}, {"user", "u0"}, {"phase", "local"}},
                                   .clock_s = [now_s = 0.0]() mutable { return now_s += 1.0; },
                                   .meter = meter},
                                  work);
    EXPECT_TRUE(phase) << phase.error().Text();
    return std::move(*phase);
  }

  static void AdvanceTo(int steps, KeptPhase* phase) {
    while (phase->training().steps() < steps) ASSERT_TRUE(phase->Advance());
  }

  std::vector<float> EndOf(KeptPhase phase) {
    while (*phase.Advance()) {
    }
    train::Adapter trained = adapter_;
    EXPECT_EQ(phase.training().Finish(&trained).steps, kSteps);
    return train::AllParameters(&trained);
  }

  std::string Said() const { return ReadFile(folder_ / "telemetry.jsonl").value_or(""); }

  static constexpr int kSteps = 7;
  const fs::path folder_ = fs::path(testing::TempDir()) / "kept_phase";
  const train::Model model_ = TinyModel(TinyConfig(), 1);
  const std::vector<corpus::Example> examples_ = RandomExamples(TinyConfig(), 14, 2);
  const train::Adapter adapter_ = RandomAdapter(TinyConfig(), train::LoraConfig{.rank = 2}, 3);
  TrainingSettings settings_;
  std::optional<Telemetry> telemetry_;
};

TEST_F(Kept, WhateverStepTheProcessDiesAtTheNextOneEndsWithTheSameBytes) {
  const std::vector<float> undisturbed = EndOf(Begin(1e9, Work()));
  EXPECT_FALSE(fs::exists(folder_ / "checkpoint"));
  for (int step = 1; step < kSteps; ++step) {
    SCOPED_TRACE(step);
    {
      KeptPhase dies = Begin(0.0, Work());
      EXPECT_EQ(dies.training().steps(), 0);
      AdvanceTo(step, &dies);
    }
    KeptPhase next = Begin(0.0, Work());
    EXPECT_EQ(next.training().steps(), step);
    EXPECT_GT(next.spent().elapsed_s, 1.0);  // What the first took counts.
    EXPECT_THAT(Said(),
                HasSubstr("\"event\":\"phase_resumed\",\"round\":1,\"user\":\"u0\","
                          "\"phase\":\"local\",\"step\":" +
                          std::to_string(step)));
    EXPECT_EQ(EndOf(std::move(next)), undisturbed);
    fs::remove(folder_ / "checkpoint");
  }
}

// A counter that stands still: a figure, and none where steps are another process's.
TEST_F(Kept, EnergyIsOfStepsThatAreAllMeasured) {
  const fs::path zone = folder_ / "sys/class/powercap/intel-rapl:0";
  fs::create_directories(zone);
  for (const auto& [name, line] : {std::pair("name", "package-0"),
                                   std::pair("max_energy_range_uj", "1000"),
                                   std::pair("energy_uj", "7")}) {
    ASSERT_TRUE(WriteFileAtomically(zone / name, std::string(line) + "\n"));
  }
  auto meter = EnergyMeter::Find(folder_ / "sys");
  ASSERT_TRUE(meter);
  {
    KeptPhase phase = Begin(0.0, Work(), &*meter);
    AdvanceTo(2, &phase);
    EXPECT_EQ(phase.spent().energy_j, 0.0);
    EXPECT_THAT(Said(), HasSubstr("\"meter\":\"RAPL, 1 package\""));
  }
  KeptPhase next = Begin(0.0, Work(), &*meter);
  AdvanceTo(3, &next);
  EXPECT_EQ(next.spent().energy_j, std::nullopt);
  fs::remove(folder_ / "checkpoint");
  KeptPhase phase = Begin(0.0, Work(), &*meter);
  AdvanceTo(1, &phase);
  ASSERT_TRUE(WriteFileAtomically(zone / "energy_uj", "gone\n"));
  AdvanceTo(2, &phase);
  ASSERT_TRUE(WriteFileAtomically(zone / "energy_uj", "9\n"));
  AdvanceTo(3, &phase);
  EXPECT_EQ(phase.spent().energy_j, std::nullopt);
  EXPECT_EQ(Begin(1e9, Work(2)).spent().energy_j, std::nullopt);  // There is no meter.
}

TEST_F(Kept, BetweenCheckpointsOnlyWhatIsAskedForIsKept) {
  {
    KeptPhase phase = Begin(1e9, Work());
    AdvanceTo(2, &phase);
    EXPECT_FALSE(fs::exists(folder_ / "checkpoint"));
    phase.Keep();
    AdvanceTo(4, &phase);
  }
  EXPECT_EQ(Begin(1e9, Work()).training().steps(), 2);
}

TEST_F(Kept, ADamagedCheckpointAndOneOfOtherWorkAreNamedAndBegunAnew) {
  const std::vector<float> undisturbed = EndOf(Begin(1e9, Work()));
  for (const bool damaged : {true, false}) {
    SCOPED_TRACE(damaged);
    {
      KeptPhase dies = Begin(0.0, Work(damaged ? 1 : 2));
      AdvanceTo(3, &dies);
    }
    if (damaged) {
      std::string bytes = ReadFile(folder_ / "checkpoint").value();
      bytes[bytes.size() - 50] ^= 4;
      ASSERT_TRUE(WriteFileAtomically(folder_ / "checkpoint", bytes));
    }
    KeptPhase anew = Begin(1e9, Work());
    EXPECT_EQ(anew.training().steps(), 0);
    EXPECT_THAT(Said(), HasSubstr("\"event\":\"checkpoint_refused\""));
    EXPECT_THAT(Said(),
                HasSubstr(damaged ? "the file is damaged" : "its round is 2, this one's is 1"));
    EXPECT_FALSE(fs::exists(folder_ / "checkpoint"));
    EXPECT_EQ(EndOf(std::move(anew)), undisturbed);
  }
}

TEST_F(Kept, ADiskThatRefusesIsNamedAndTheTrainingGoesOn) {
  KeptPhase phase = Begin(0.0, Work());
  fs::create_directories(folder_ / "checkpoint" / "in the way");
  AdvanceTo(2, &phase);
  EXPECT_THAT(Said(), HasSubstr("\"event\":\"checkpoint_failed\""));
  fs::remove_all(folder_ / "checkpoint");
  AdvanceTo(3, &phase);
  EXPECT_TRUE(fs::exists(folder_ / "checkpoint"));
}

}  // namespace
}  // namespace dashf::runtime
