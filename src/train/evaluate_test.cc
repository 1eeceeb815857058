#include "train/evaluate.h"

#include <gmock/gmock.h>

#include <cmath>

#include "train/generate.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

// With every weight zero all logits are equal: the loss is ln(vocabulary).
TEST(Evaluate, LossOfTheUniformModelIsTheLogOfTheVocabulary) {
  const Model model(llama::MakeWeights(TinyConfig(), {}));
  const auto evaluation = Evaluate(model, nullptr, RandomExamples(TinyConfig(), 9, 2));
  ASSERT_TRUE(evaluation);
  EXPECT_NEAR(evaluation->loss, std::log(31.0), 1e-6);
  EXPECT_NEAR(evaluation->perplexity, 31.0, 1e-4);
}

// An answer made by greedy generation is matched exactly; with one token changed it is not.
TEST(Evaluate, ExactMatchIsWhatGreedyGenerationReproduces) {
  const Model model = TinyModel(TinyConfig(), 3);
  const Adapter adapter = RandomAdapter(TinyConfig(), {.rank = 2}, 4);
  std::vector<corpus::Example> examples;
  for (int i = 0; i < 6; ++i) {
    std::vector<int> tokens = {1, 3 + i, 7};
    const auto answer = GenerateGreedy(model, &adapter, tokens, 5);
    ASSERT_TRUE(answer);
    ASSERT_FALSE(answer->empty());
    tokens.insert(tokens.end(), answer->begin(), answer->end());
    examples.emplace_back(std::move(tokens), 3);
  }
  EXPECT_EQ(Evaluate(model, &adapter, examples)->exact_match, 1.0);
  examples[2].tokens.back() = (examples[2].tokens.back() + 1) % 31;
  EXPECT_NEAR(Evaluate(model, &adapter, examples)->exact_match, 5.0 / 6.0, 1e-15);
}

// The loss of a conversation is the mean over all answers' tokens, and one wrong answer is enough
// for the conversation not to match.
TEST(Evaluate, CountsEveryAnswerOfAConversationAndNothingBetween) {
  const Model model = TinyModel(TinyConfig(), 3);
  corpus::Example both({1, 5, 7, 9, 11, 4, 8}, 2);
  both.answers = {{2, 3}, {5, 7}};
  corpus::Example first({1, 5, 7}, 2), second(both.tokens, 5);
  const double expected =
      (Evaluate(model, nullptr, {first})->loss + 2.0 * Evaluate(model, nullptr, {second})->loss) /
      3.0;
  const auto evaluation = Evaluate(model, nullptr, {both});
  EXPECT_NEAR(evaluation->loss, expected, 1e-6);
  EXPECT_EQ(evaluation->answer_tokens, 3);
  both.tokens = {1, 5};
  both.answers.clear();
  for (int turn = 0; turn < 2; ++turn) {  // Both answers are what greedy decoding gives.
    const auto begin = static_cast<int>(both.tokens.size());
    const auto answer = GenerateGreedy(model, nullptr, both.tokens, 2);
    ASSERT_EQ(answer->size(), 2u);
    both.tokens.insert(both.tokens.end(), answer->begin(), answer->end());
    both.answers.push_back({begin, begin + 2});
    if (turn == 0) both.tokens.push_back(6);
  }
  EXPECT_EQ(Evaluate(model, nullptr, {both})->exact_match, 1.0);
  both.tokens.back() = (both.tokens.back() + 1) % 31;
  EXPECT_EQ(Evaluate(model, nullptr, {both})->exact_match, 0.0);
}

TEST(Evaluate, RefusesAnswersThatOverlapOrLieOutside) {
  const Model model = TinyModel(TinyConfig(), 3);
  for (const std::vector<corpus::Span>& answers :
       {std::vector<corpus::Span>{}, {{0, 2}}, {{2, 2}}, {{1, 5}}, {{1, 3}, {2, 4}}}) {
    corpus::Example example({1, 2, 3, 4}, 1);
    example.answers = answers;
    EXPECT_FALSE(Evaluate(model, nullptr, {example}));
  }
}

// The shared prompt and the padded labels must score as each whole sequence would alone.
TEST(Evaluate, ChoiceAccuracyPicksTheLabelOfLeastWholeLoss) {
  const Model model = TinyModel(TinyConfig(), 5);
  const Adapter adapter = RandomAdapter(TinyConfig(), {.rank = 2}, 6);
  const std::vector<std::vector<int>> labels = {{4}, {4, 9, 2}, {11, 3}, {8, 8, 8, 8}, {17, 2}};
  std::vector<std::vector<int>> prompts;
  std::vector<int> best_labels;
  for (const corpus::Example& example : RandomExamples(TinyConfig(), 8, 7)) {
    double best = std::numeric_limits<double>::infinity();
    int best_label = -1;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      std::vector<int> whole = example.tokens;
      whole.insert(whole.end(), labels[i].begin(), labels[i].end());
      const auto evaluation =
          Evaluate(model, &adapter, {{whole, static_cast<int>(example.tokens.size())}});
      const double loss = evaluation->loss * static_cast<double>(labels[i].size());
      if (loss < best) {
        best = loss;
        best_label = static_cast<int>(i);
      }
    }
    prompts.push_back(example.tokens);
    best_labels.push_back(best_label);
  }
  EXPECT_EQ(*ChoiceAccuracy(model, &adapter, prompts, best_labels, labels), 1.0);
  best_labels[0] = (best_labels[0] + 1) % 5;
  EXPECT_EQ(*ChoiceAccuracy(model, &adapter, prompts, best_labels, labels), 7.0 / 8.0);
}

TEST(Evaluate, RefusesALabelThatDoesNotExist) {
  const Model model = TinyModel(TinyConfig(), 5);
  EXPECT_FALSE(ChoiceAccuracy(model, nullptr, {{1, 2}}, {3}, {{4}, {5}}));
}

TEST(Evaluate, NoExamplesHaveNoQuality) {
  const Model model = TinyModel(TinyConfig(), 5);
  EXPECT_FALSE(Evaluate(model, nullptr, {}));
  const auto accuracy = ChoiceAccuracy(model, nullptr, {}, {}, {{4}, {5}});
  ASSERT_FALSE(accuracy);
  EXPECT_EQ(accuracy.error().Text(), "prompts: must not be empty");
}

}  // namespace
}  // namespace dashf::train
