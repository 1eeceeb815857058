#include "train/generate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "train/testing.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::TinyConfig;
using testing::TinyModel;

const std::vector<int> kPrompt = {1, 5, 9};

TEST(Generate, SameSeedSameTokensAndOtherSeedsOthers) {
  const Model model = TinyModel(TinyConfig(), 3);
  const auto tokens = [&](std::uint64_t seed) {
    return Generate(model,
                    nullptr,
                    kPrompt,
                    {.tokens_max = 12, .sampling = {.temperature = 2.0}, .seed = seed})
        .value();
  };
  EXPECT_EQ(tokens(1), tokens(1));
  EXPECT_NE(tokens(1), tokens(2));
}

TEST(Generate, TellsEachTokenInOrderAndEndsBeforeAStopToken) {
  ModelConfig endless = TinyConfig();
  endless.eos_tokens.clear();
  const Model model = TinyModel(endless, 3);
  const Adapter adapter = RandomAdapter(endless, LoraConfig{.rank = 2}, 4);
  std::vector<int> told;
  GenerateOptions options{.tokens_max = 8,
                          .on_token = [&told](int token) { told.push_back(token); }};
  const std::vector<int> whole = Generate(model, &adapter, kPrompt, options).value();
  ASSERT_EQ(whole.size(), 8u);
  EXPECT_EQ(told, whole);
  EXPECT_EQ(whole, GenerateGreedy(model, &adapter, kPrompt, 8).value());
  options.stop_tokens = {whole[4]};
  const auto first = std::find(whole.begin(), whole.end(), whole[4]);
  EXPECT_EQ(Generate(model, &adapter, kPrompt, options).value(),
            std::vector<int>(whole.begin(), first));
}

TEST(Generate, RefusesSamplingOptionsOutsideTheirRange) {
  const Model model = TinyModel(TinyConfig(), 3);
  const auto tokens = Generate(model, nullptr, kPrompt, {.sampling = {.top_p = 2.0}});
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().kind, ErrorKind::kUsage);
}

}  // namespace
}  // namespace dashf::train
