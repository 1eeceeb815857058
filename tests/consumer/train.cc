// train MODEL: the shipped model's continuation of a word, on the installed engine.
#include <dashf/corpus/tokenizer.h>
#include <dashf/train/generate.h>

#include <cstdio>

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "";
  const auto model = dashf::train::LoadModel(folder);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().Text().c_str());
    return 3;
  }
  const auto tokenizer = dashf::corpus::Tokenizer::Load(folder);
  if (!tokenizer) return 3;
  const auto text = dashf::train::GenerateGreedy(
      *model, nullptr, tokenizer->Encode("Package: ", true), 8);
  if (!text) return 3;
  std::printf("%s\n", tokenizer->Decode(*text).c_str());
}
