#include "train/held_out.h"

#include <gtest/gtest.h>

namespace dashf::train {
namespace {

using corpus::Conversation;
using corpus::Record;
using corpus::Role;
using corpus::Sample;

const std::vector<std::string> kLabels = {"games", "science"};

HeldOut Prepare(const std::vector<Sample>& samples) {
  const auto tokenizer = corpus::Tokenizer::Load(DASHF_SOURCE_DIR "/src/corpus/testdata").value();
  return PrepareHeldOut(samples, kLabels, tokenizer, *corpus::ChatTemplateNamed("llama2"), 1000)
      .value();
}

// Prompt and label together are what is evaluated: the choice is about the same tokens.
void ExpectChoice(const HeldOut& held_out, const std::vector<int>& truth) {
  EXPECT_EQ(held_out.truth, truth);
  ASSERT_EQ(held_out.prompts.size(), truth.size());
  for (std::size_t i = 0; i < truth.size(); ++i) {
    std::vector<int> tokens = held_out.prompts[i];
    const std::vector<int>& label = held_out.labels[static_cast<std::size_t>(truth[i])];
    tokens.insert(tokens.end(), label.begin(), label.end());
    EXPECT_EQ(tokens, held_out.examples[i].tokens);
  }
}

TEST(HeldOut, IsAChoiceWhereEveryAnswerIsALabel) {
  ExpectChoice(Prepare({Record{"which", "a", "science"}, Record{"which", "b", "games"}}), {1, 0});
  ExpectChoice(
      Prepare({Conversation{.messages = {{Role::kUser, "a"}, {Role::kAssistant, "games"}}},
               Conversation{.messages = {{Role::kUser, "b"}, {Role::kAssistant, "science"}}}}),
      {0, 1});
}

TEST(HeldOut, IsNoChoiceWhereAnAnswerIsNoneOfTheLabelsOrThereAreSeveral) {
  const std::vector<std::vector<Sample>> others = {
      {Record{"which", "a", "science"}, Record{"which", "b", "sports"}},
      {Conversation{.messages = {{Role::kUser, "a"},
                                 {Role::kAssistant, "games"},
                                 {Role::kUser, "b"},
                                 {Role::kAssistant, "games"}}}},
      {corpus::Document{"games"}}};
  for (const std::vector<Sample>& samples : others) {
    const HeldOut held_out = Prepare(samples);
    EXPECT_TRUE(held_out.prompts.empty());
    EXPECT_TRUE(held_out.truth.empty());
    EXPECT_EQ(held_out.examples.size(), samples.size());
  }
}

}  // namespace
}  // namespace dashf::train
