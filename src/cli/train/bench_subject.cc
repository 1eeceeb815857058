#include "cli/train/bench_subject.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/rng.h"
#include "corpus/tokenizer.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

constexpr int kPool = 16;       // Batches that are made of examples sorted by length.
constexpr int kFirstToken = 3;  // Below are the special ones.
constexpr std::uint64_t kSeed = 1;

train::ModelConfig ConfigOf(const std::string& name) {
  train::ModelConfig config;
  config.tied_embeddings = true;
  if (name == "1B") {
    config.layers = 16;
    config.heads = 32;
    config.kv_heads = 8;
    config.hidden_size = 2048;
    config.head_dim = 64;
    config.intermediate_size = 8192;
    config.vocab_size = 128256;
    config.max_positions = 131072;
    config.rope_theta = 500000.0;
    config.rope_llama3 = llama::Llama3Rope{.factor = 32.0};
    return config;
  }
  const bool small = name == "15M";
  config.layers = small ? 6 : 12;
  config.heads = config.kv_heads = small ? 6 : 12;
  config.hidden_size = small ? 288 : 768;
  config.head_dim = config.hidden_size / config.heads;
  config.intermediate_size = small ? 768 : 2048;
  config.vocab_size = 32000;
  return config;
}

std::int64_t ParameterCount(const train::ModelConfig& config) {
  std::int64_t count = 0;
  llama::ForEachTensor(config, [&count](const std::string&, const auto& shape) {
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) elements *= size;
    count += elements;
  });
  return count;
}

std::vector<corpus::Example> RandomExamples(const train::ModelConfig& config,
                                            const BatchRules& rules) {
  Rng rng = Rng(kSeed).Stream("examples");
  const auto log_normal = [&rng](double mean, double deviation) {
    return static_cast<int>(std::exp(mean + deviation * rng.Normal()));
  };
  std::vector<corpus::Example> examples;
  for (int i = 0; i < kPool * rules.batch_size; ++i) {
    const int longest = std::min(rules.tokens_max, config.max_positions);
    // The template's words, then the instruction's.
    const int prompt = std::clamp(42 + log_normal(2.6, 1.1), 1, longest - 1);
    const int answer = std::clamp(1 + log_normal(4.5, 1.4), 1, longest - prompt);
    std::vector<int> tokens;
    for (int t = 0; t < prompt + answer; ++t) {
      const auto ordinary = static_cast<std::uint64_t>(config.vocab_size - kFirstToken);
      tokens.push_back(kFirstToken + static_cast<int>(rng.Below(ordinary)));
    }
    examples.emplace_back(std::move(tokens), prompt);
  }
  return examples;
}

Expected<std::vector<corpus::Example>> ReadExamples(const std::string& model_dir,
                                                    const std::string& data_path,
                                                    int tokens_max,
                                                    corpus::DataReport* report) {
  const auto tokenizer = corpus::Tokenizer::Load(model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  const auto samples = corpus::ReadSamples(data_path, std::nullopt, report);
  if (!samples) return tl::unexpected(samples.error());
  return corpus::TokenizeSamples(
      *samples, *tokenizer, corpus::LoadChatTemplate(model_dir, *tokenizer), tokens_max, report);
}

void Share(std::vector<corpus::Example> examples, int batch_size, BenchSubject* subject) {
  std::stable_sort(examples.begin(), examples.end(), [](const auto& a, const auto& b) {
    return a.tokens.size() < b.tokens.size();
  });
  const auto count = std::ssize(examples), size = std::min<std::ptrdiff_t>(batch_size, count);
  for (const std::ptrdiff_t quarters : {1, 3}) {
    const auto begin =
        examples.begin() +
        std::clamp((count * quarters - 2 * size) / 4, std::ptrdiff_t{0}, count - size);
    subject->batches.emplace_back(begin, begin + size);
  }
}

// With the adapter's start in a folder of its own.
Expected<BenchSubject> Finished(BenchSubject subject, const std::filesystem::path& folder) {
  const auto adapter = train::InitialAdapter(subject.config, subject.adapter, kSeed);
  if (!adapter) return tl::unexpected(adapter.error());
  subject.adapter_dir = (folder / "adapter").string();
  const auto saved =
      train::SaveAdapter(*adapter, subject.config, subject.model_dir, subject.adapter_dir);
  if (!saved) return tl::unexpected(saved.error());
  return subject;
}

}  // namespace

Expected<BenchSubject> RandomSubject(const std::string& name,
                                     const BatchRules& rules,
                                     const std::filesystem::path& folder) {
  BenchSubject subject{.name = name, .model_dir = (folder / "model").string()};
  subject.config = ConfigOf(name);
  subject.parameters = ParameterCount(subject.config);
  constexpr llama::Storage kHalves = {llama::Format::kBFloat16, llama::Format::kBFloat16};
  const bool halves = name == "1B";
  const auto saved = train::SaveModel(
      train::RandomModel(subject.config, kSeed, halves ? kHalves : llama::Storage()),
      halves ? train::Precision::kBFloat16 : train::Precision::kFloat32,
      subject.model_dir);
  if (!saved) return tl::unexpected(saved.error());
  Share(RandomExamples(subject.config, rules), rules.batch_size, &subject);
  return Finished(std::move(subject), folder);
}

Expected<BenchSubject> GivenSubject(const std::string& model_dir,
                                    const std::string& data_path,
                                    const BatchRules& rules,
                                    const std::filesystem::path& folder) {
  // The folder's name, also where it is given with a slash behind it.
  const std::filesystem::path path = std::filesystem::path(model_dir) / "";
  BenchSubject subject{.name = path.parent_path().filename().string(), .model_dir = model_dir};
  auto config = train::LoadModelConfig(model_dir);
  if (!config) return tl::unexpected(config.error());
  subject.config = std::move(*config);
  subject.parameters = ParameterCount(subject.config);
  std::vector<corpus::Example> examples;
  if (data_path.empty()) {
    examples = RandomExamples(subject.config, rules);
  } else {
    auto read = ReadExamples(model_dir, data_path, rules.tokens_max, &subject.data.emplace());
    if (!read) return tl::unexpected(read.error());
    examples = std::move(*read);
  }
  Share(std::move(examples), rules.batch_size, &subject);
  return Finished(std::move(subject), folder);
}

}  // namespace dashf::cli
