#include "runtime/training_settings.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

TrainingSettings Unusual() {
  TrainingSettings training;
  training.adapter.kind = train::AdapterKind::kAdaptionPrompt;
  training.adapter.lora.alpha = 1.0 / 3.0;
  training.learning_rate = 0.1 + 0.2;
  training.schedule = {train::ScheduleShape::kCosine, 1e-17};
  training.seed = 9'223'372'036'854'775'807;
  training.storage = {.arithmetic = "auto", .weights = "nf4"};
  return training;
}

// Who has been told them says them back, and is held against the very text.
TEST(TrainingSettings, ComeBackFromTheWireToTheLastBit) {
  for (const TrainingSettings& training : {TrainingSettings(), Unusual()}) {
    const std::string text = WriteTrainingSettings(training);
    const auto read = ParseTrainingSettings("c", text);
    ASSERT_TRUE(read) << read.error().Text();
    EXPECT_EQ(WriteTrainingSettings(*read), text);
  }
}

TEST(TrainingSettings, OfAnotherVersionOrOfNoneAreRefusedByName) {
  const std::string text = WriteTrainingSettings(TrainingSettings());
  const auto failure_of = [&text](const std::string& old, const std::string& by) {
    std::string changed = text;
    changed.replace(changed.find(old), old.size(), by);
    const auto read = ParseTrainingSettings("c", changed);
    return read ? "" : read.error().Text();
  };
  EXPECT_THAT(failure_of("\"rank\":8", "\"rank\":0"), HasSubstr("c: training.rank: "));
  EXPECT_THAT(failure_of("\"rank\":8", "\"rank\":8,\"dropout\":0.1"), HasSubstr("dropout"));
  EXPECT_THAT(failure_of("\"rank\":8,", ""), HasSubstr("rank"));
  EXPECT_THAT(failure_of("\"weights\":\"auto\"", "\"weights\":\"int3\""),
              HasSubstr("c: training.weights: "));
  EXPECT_THAT(failure_of("\"warmup\":0.0", "\"warmup\":1.5"), HasSubstr("c: training.warmup: "));
  TrainingSettings wild;
  wild.learning_rate = 1000.0;
  EXPECT_THAT(ParseTrainingSettings("c", WriteTrainingSettings(wild)).error().Text(),
              HasSubstr("c: training.learning_rate: must be in (0, 1], got 1000"));
  for (const char* nonsense : {"", "{}", "[]", "7}", "{}},{\"training\":{"}) {
    EXPECT_FALSE(ParseTrainingSettings("c", nonsense)) << nonsense;
  }
}

TEST(TrainingSettings, DifferByNameAndBothValues) {
  TrainingSettings one, other;
  const auto difference = [&] {
    return SettingsDifference(WriteTrainingSettings(one), WriteTrainingSettings(other));
  };
  EXPECT_EQ(difference(), "");
  other.learning_rate = 0.004;
  EXPECT_EQ(difference(), "training.learning_rate: the fleet has 0.003, this node 0.004");
  EXPECT_EQ(WriteAdapterSettings(one), WriteAdapterSettings(other));
  other.adapter.lora.rank = 4;
  EXPECT_NE(WriteAdapterSettings(one), WriteAdapterSettings(other));
  EXPECT_LT(SettingsDifference(WriteTrainingSettings(one),
                               "{\"adapter\":\"" + std::string(100'000, 'a') + "\"}")
                .size(),
            200U);  // However much a node says.
  EXPECT_NE(SettingsDifference(WriteTrainingSettings(one), ""), "");
  EXPECT_NE(SettingsDifference(WriteTrainingSettings(one), "{\"rank\":\"\xff\"}"), "");
}

}  // namespace
}  // namespace dashf::runtime
