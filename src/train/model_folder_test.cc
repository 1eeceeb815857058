#include "train/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Write(const char* name) { ASSERT_TRUE(WriteFileAtomically(folder_ / name, "{}")); }
  std::string Refusal() {
    const auto sound = CheckModelFolder(folder_);
    return sound ? "accepted" : sound.error().message;
  }
  fs::path folder_;
};

TEST_F(ModelFolder, ANameOnAHubIsToldFromAFolderThatIsNotThere) {
  const auto hub = CheckModelFolder("meta-llama/Llama-3.2-1B");
  ASSERT_FALSE(hub);
  EXPECT_EQ(hub.error().kind, ErrorKind::kIo);
  EXPECT_THAT(hub.error().message,
              HasSubstr("hf download meta-llama/Llama-3.2-1B --local-dir DIR"));
  EXPECT_EQ(CheckModelFolder("/nowhere/at/all").error().message, "there is no such model folder");
}

TEST_F(ModelFolder, WhatItHoldsInsteadIsNamedWithTheWayOut) {
  EXPECT_THAT(Refusal(), HasSubstr("holds no config.json: it must be a model folder"));
  Write("model-Q4_K_M.gguf");
  EXPECT_THAT(Refusal(), HasSubstr("model-Q4_K_M.gguf, a model of llama.cpp"));
  fs::remove(folder_ / "model-Q4_K_M.gguf");
  Write("config.json");
  EXPECT_THAT(Refusal(), HasSubstr("holds no model.safetensors"));
  Write("pytorch_model.bin");
  EXPECT_THAT(Refusal(), HasSubstr("pytorch_model.bin alone"));
  EXPECT_THAT(Refusal(), HasSubstr("save_pretrained('DIR')"));
  Write("model.safetensors.index.json");
  EXPECT_EQ(Refusal(), "accepted");
  Write("model.safetensors");
  EXPECT_EQ(Refusal(), "accepted");
}

TEST_F(ModelFolder, AnAdapterIsToldFromAModel) {
  Write("adapter_config.json");
  Write("adapter_model.safetensors");
  EXPECT_THAT(Refusal(), HasSubstr("is a PEFT adapter, not a model: say --adapter"));
}

}  // namespace
}  // namespace dashf::train
