#include "train/checkpoint.h"

#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "base/file.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

struct Fixture {
  Model model = TinyModel(TinyConfig(), 1);
  std::vector<corpus::Example> examples = RandomExamples(TinyConfig(), 12, 2);
  Adapter adapter = *InitialAdapter(TinyConfig(), {.lora = {.rank = 2}}, 3);
  TrainOptions options = [] {
    TrainOptions chosen;
    chosen.epochs = 2;
    chosen.batch_size = 4;
    return chosen;
  }();
  fs::path path = fs::path(::testing::TempDir()) /
                  ::testing::UnitTest::GetInstance()->current_test_info()->name() /
                  "training.safetensors";

  TrainingIdentity Identity() const {
    return IdentityOf("digest", examples, 1, 3, UserObjective::kFullDepth, options, adapter);
  }

  TrainingState StateAfter(int steps) {
    TrainingState kept;
    options.on_state = [&](const TrainingState& state) -> Expected<void> {
      if (std::ssize(state.losses) == steps) kept = state;
      return {};
    };
    Adapter trained = adapter;
    EXPECT_TRUE(TrainAllLayers(model, examples, options, &trained));
    options.on_state = {};
    return kept;
  }

  std::string Refusal(const TrainingIdentity& identity) const {
    const auto read = ReadCheckpoint(path, identity);
    if (read) return "accepted";
    EXPECT_EQ(read.error().kind, ErrorKind::kBadInput);
    return read.error().Text();
  }
};

TEST(Checkpoint, GivesTheStateBackBitForBit) {
  Fixture setup;
  TrainingState state = setup.StateAfter(4);
  ASSERT_EQ(state.losses.size(), 4U);
  state.elapsed_s = 12.3456789;
  state.cpu_s = 0.1;
  ASSERT_TRUE(WriteCheckpoint(setup.path, state, setup.Identity()));
  const auto read = ReadCheckpoint(setup.path, setup.Identity());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(*read, state);
}

TEST(Checkpoint, OfAnotherTrainingIsRefusedByNameOfWhatDiffers) {
  Fixture setup;
  ASSERT_TRUE(WriteCheckpoint(setup.path, setup.StateAfter(2), setup.Identity()));
  const auto refusal_of = [&](const std::function<void(Fixture*)>& change) {
    Fixture other;
    change(&other);
    return setup.Refusal(other.Identity());
  };
  EXPECT_THAT(refusal_of([](Fixture* f) { f->examples[3].tokens[2] ^= 1; }), HasSubstr("its data"));
  EXPECT_THAT(refusal_of([](Fixture* f) { f->examples.pop_back(); }), HasSubstr("its data"));
  EXPECT_THAT(refusal_of([](Fixture* f) { f->adapter.layers[1][0].a[0] += 1.0F; }),
              HasSubstr("its initial adapter"));
  EXPECT_THAT(refusal_of([](Fixture* f) { f->options.learning_rate = 0.5; }),
              HasSubstr("its learning_rate is 0.003, this one's is 0.5"));
  EXPECT_THAT(refusal_of([](Fixture* f) { f->options.schedule.shape = ScheduleShape::kCosine; }),
              HasSubstr("its schedule is constant, this one's is cosine"));
  EXPECT_THAT(refusal_of([](Fixture* f) { f->options.seed = 7; }), HasSubstr("its seed is 1"));
  EXPECT_THAT(refusal_of([](Fixture*) { SetThreads(2); }), HasSubstr("its threads is 1"));
  SetThreads(1);
  TrainingIdentity identity = setup.Identity();
  identity["model"] = "another";
  EXPECT_THAT(setup.Refusal(identity), HasSubstr("its model is digest, this one's is another"));
  identity = setup.Identity();
  identity["option of a later version"] = "1";
  EXPECT_THAT(setup.Refusal(identity), HasSubstr("its option of a later version is none"));
}

TEST(Checkpoint, WhatCannotBeAStateIsRefusedByTensor) {
  Fixture setup;
  const TrainingState state = setup.StateAfter(2);
  const auto refusal_of = [&](const std::function<void(TrainingState*)>& change) {
    TrainingState broken = state;
    change(&broken);
    EXPECT_TRUE(WriteCheckpoint(setup.path, broken, setup.Identity()));
    return setup.Refusal(setup.Identity());
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->parameters[5] = kNan; }),
              HasSubstr("parameters: has a value"));
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->optimizer.square[5] = -1.0F; }),
              HasSubstr("gradient_square: has a value"));
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->optimizer.mean.pop_back(); }),
              HasSubstr("gradient_mean: must be F32"));
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->best.clear(); }),
              HasSubstr("best_parameters: must be F32"));
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->best_steps = 3; }),
              HasSubstr("best_steps: must be an integer in [0, 2]"));
  EXPECT_THAT(refusal_of([](TrainingState* s) { s->tokens = -1; }), HasSubstr("tokens: must be"));
}

TEST(Checkpoint, ADamagedFileIsRefused) {
  Fixture setup;
  ASSERT_TRUE(WriteCheckpoint(setup.path, setup.StateAfter(2), setup.Identity()));
  const std::string bytes = ReadFile(setup.path).value();
  ASSERT_TRUE(WriteFileAtomically(setup.path, bytes.substr(0, bytes.size() - 1)));
  EXPECT_NE(setup.Refusal(setup.Identity()), "accepted");
  for (const std::size_t from_end : {1U, 100U, 1000U}) {
    std::string turned = bytes;
    turned[turned.size() - from_end] ^= 1;
    ASSERT_TRUE(WriteFileAtomically(setup.path, turned));
    EXPECT_THAT(setup.Refusal(setup.Identity()), HasSubstr("the file is damaged"));
  }
  ASSERT_TRUE(WriteFileAtomically(setup.path, ""));
  EXPECT_NE(setup.Refusal(setup.Identity()), "accepted");
  fs::remove(setup.path);
  EXPECT_EQ(ReadCheckpoint(setup.path, setup.Identity()).error().kind, ErrorKind::kIo);
}

TEST(ModelDigest, ChangesWithOneBitOfTheWeightsOrTheConfig) {
  const fs::path folder = fs::path(::testing::TempDir()) / "model_digest";
  ASSERT_TRUE(SaveModel(RandomModel(TinyConfig(), 1), Precision::kFloat32, folder));
  const auto digest = ModelDigest(folder);
  ASSERT_TRUE(digest);
  EXPECT_EQ(ModelDigest(folder).value(), *digest);
  for (const char* name : {"model.safetensors", "config.json"}) {
    const std::string bytes = ReadFile(folder / name).value();
    std::string changed = bytes;
    changed.back() ^= 1;
    ASSERT_TRUE(WriteFileAtomically(folder / name, changed));
    EXPECT_NE(ModelDigest(folder).value(), *digest) << name;
    ASSERT_TRUE(WriteFileAtomically(folder / name, bytes));
  }
  EXPECT_EQ(ModelDigest(folder / "none").error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::train
