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

  const fs::path folder_ = fs::path(testing::TempDir()) / "user_folders";
  const train::Adapter adapter_ = train::InitialAdapter(Tiny(), {}, 1).value();
};

TEST_F(UserFolders, AnAdapterTakesThePlaceOfTheFormerOneAndOfNothingElse) {
  fs::create_directories(folder_ / "elsewhere/sub");
  ASSERT_TRUE(WriteFileAtomically(folder_ / "elsewhere/thesis.txt", "my only copy"));
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "adapter");
  const UserFolder user = Open();
  for (const double loss : {2.0, 1.0}) {
    ASSERT_TRUE(user.Keep(adapter_, loss > 1.5 ? 1 : 2, loss));
    EXPECT_EQ(train::LoadAdapter(folder_ / "elsewhere", Tiny()).value(), adapter_);
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "adapter"));
  EXPECT_TRUE(fs::exists(folder_ / "elsewhere/sub"));
  EXPECT_EQ(ReadFile(folder_ / "elsewhere/thesis.txt").value(), "my only copy");
  EXPECT_EQ(train::LoadAdapter(folder_ / "state/rounds/0002", Tiny()).value(), adapter_);
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
