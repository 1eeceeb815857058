// A published model's greedy text, token for token: llama2.c's stories260K (512 tokens of
// vocabulary, 8 query heads on 4 key heads, tied embeddings), converted to Hugging Face's layout.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "corpus/tokenizer.h"
#include "train/generate.h"
#include "train/model.h"

namespace dashf::train {
namespace {

TEST(Stories260K, GreedyTextIsThePublishedOne) {
  const char* shared = std::getenv("DASHF_SHARED_DATA");
  const std::filesystem::path folder =
      std::filesystem::path(shared ? shared : DASHF_SOURCE_DIR "/../shared/data") / "stories260K";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "the stories260K weights are not at " << folder;
  }
  const auto model = LoadModel(folder);
  ASSERT_TRUE(model) << model.error().Text();
  const auto tokenizer = corpus::Tokenizer::Load(folder.string());
  ASSERT_TRUE(tokenizer) << tokenizer.error().Text();
  std::string expected = *ReadFile(folder / "expected.txt");
  while (expected.ends_with('\n')) expected.pop_back();
  const std::vector<int> expected_tokens = tokenizer->Encode(expected, /*add_bos=*/true);
  const auto generated =
      GenerateGreedy(*model, nullptr, {1}, static_cast<int>(expected_tokens.size()) - 1);
  ASSERT_TRUE(generated) << generated.error().Text();
  EXPECT_EQ(tokenizer->Decode(*generated), expected);
}

}  // namespace
}  // namespace dashf::train
