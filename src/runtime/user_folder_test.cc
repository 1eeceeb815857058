#include "runtime/user_folder.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

train::ModelConfig Tiny() {
  train::ModelConfig config;
  config.layers = 2;
  config.hidden_size = 16;
  config.heads = config.kv_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 24;
  config.vocab_size = 32;
  config.max_positions = 16;
  return config;
}

class UserFolders : public testing::Test {
 protected:
  UserFolders() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  UserFolder Open() const {
    return UserFolder::Open(folder_ / "state",
                            folder_ / "adapter",
                            "base",
                            Tiny(),
                            adapter_,
                            R"({"rank":8})",
                            "one")
        .value();
  }

  static UserFolder::Loss Always(double loss) {
    return [loss](const train::Adapter&) -> Expected<double> { return loss; };
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "user_folders";
  const train::Adapter adapter_ = train::InitialAdapter(Tiny(), {}, 1).value();
};

TEST_F(UserFolders, AnAdapterTakesThePlaceOfTheFormerOneAndOfNothingElse) {
  fs::create_directories(folder_ / "elsewhere/sub");
  ASSERT_TRUE(WriteFileAtomically(folder_ / "elsewhere/thesis.txt", "my only copy"));
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "adapter");
  const UserFolder user = Open();
  for (const double loss : {2.0, 1.0}) {
    ASSERT_TRUE(user.Keep(adapter_, loss > 1.5 ? 1 : 2, "same", Always(loss)));
    EXPECT_EQ(train::LoadAdapter(folder_ / "elsewhere", Tiny()).value(), adapter_);
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "adapter"));
  EXPECT_TRUE(fs::exists(folder_ / "elsewhere/sub"));
  EXPECT_EQ(ReadFile(folder_ / "elsewhere/thesis.txt").value(), "my only copy");
  EXPECT_EQ(train::LoadAdapter(folder_ / "state/rounds/0002", Tiny()).value(), adapter_);
}

TEST_F(UserFolders, TheBestIsTheOneWithTheSmallestLossOnTheSameHeldOutData) {
  const train::Adapter other = train::InitialAdapter(Tiny(), {}, 2).value();
  ASSERT_NE(other, adapter_);
  const UserFolder user = Open();
  const auto delivered = [&] { return train::LoadAdapter(folder_ / "adapter", Tiny()).value(); };
  ASSERT_TRUE(user.Keep(adapter_, 1, "old", Always(1.0)));
  ASSERT_TRUE(user.Keep(other, 2, "old", Always(1.5)));
  EXPECT_EQ(delivered(), adapter_);
  // On other data that adapter is the worse one,
  const auto on_new = [&](const train::Adapter& each) -> Expected<double> {
    return each == adapter_ ? 5.0 : 4.5;
  };
  ASSERT_TRUE(user.Keep(other, 3, "new", on_new));
  EXPECT_EQ(delivered(), other);
  // and measured once: round 3's loss stands.
  ASSERT_TRUE(user.Keep(adapter_, 4, "new", Always(4.6)));
  EXPECT_EQ(delivered(), other);
}

TEST_F(UserFolders, AnEarlierAdapterThatIsBetterOnOtherDataTooStays) {
  const train::Adapter other = train::InitialAdapter(Tiny(), {}, 2).value();
  const UserFolder user = Open();
  ASSERT_TRUE(user.Keep(adapter_, 1, "old", Always(1.0)));
  const auto on_new = [&](const train::Adapter& each) -> Expected<double> {
    return each == adapter_ ? 4.0 : 4.5;
  };
  ASSERT_TRUE(user.Keep(other, 2, "new", on_new));
  EXPECT_EQ(train::LoadAdapter(folder_ / "adapter", Tiny()).value(), adapter_);
  ASSERT_TRUE(user.Keep(other, 3, "new", Always(3.9)));
  EXPECT_EQ(train::LoadAdapter(folder_ / "adapter", Tiny()).value(), other);
}

TEST_F(UserFolders, AStateIsANewFolderOrOneThatOpenMade) {
  const fs::path state = folder_ / "state";
  EXPECT_TRUE(UserFolder::CheckState(state, {}));
  fs::create_directories(state / "transfer");  // What a round would begin by removing.
  const auto refused = UserFolder::CheckState(state, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(refused.error().Text(), HasSubstr("is no user's state: holds transfer"));
  fs::remove_all(state);
  fs::create_directories(state / "lost+found");  // A disk of its own.
  EXPECT_TRUE(UserFolder::CheckState(state, {}));
  fs::remove_all(state);
  Open();
  EXPECT_TRUE(UserFolder::CheckState(state, {}));
  ASSERT_TRUE(WriteFileAtomically(state / "notes.txt", "x"));
  EXPECT_TRUE(UserFolder::CheckState(state, {}));
}

TEST_F(UserFolders, WhatANodeWroteBeforeItHeardOfItsFleetIsNoStrangers) {
  const fs::path state = folder_ / "state", log = state / "log/telemetry.jsonl";
  fs::create_directories(log.parent_path());
  fs::create_directories(state / "adapter");
  ASSERT_TRUE(WriteFileAtomically(log, "{}"));
  EXPECT_TRUE(UserFolder::CheckState(state, {state / "adapter", log}));
  EXPECT_FALSE(UserFolder::CheckState(state, {log}));
  ASSERT_TRUE(WriteFileAtomically(state / "flat.jsonl.1", "{}"));
  EXPECT_FALSE(UserFolder::CheckState(state, {state / "adapter", log}));
  EXPECT_TRUE(UserFolder::CheckState(state, {state / "adapter", log, state / "flat.jsonl"}));
}

}  // namespace
}  // namespace dashf::runtime
