#include "train/sequences.h"

#include <algorithm>

namespace dashf::train {

std::vector<llama::Sequence> SequencesOf(const std::vector<corpus::Example>& examples,
                                         std::span<const std::size_t> chosen) {
  std::vector<llama::Sequence> sequences;
  for (const std::size_t i : chosen) {
    llama::Sequence& sequence = sequences.emplace_back();
    sequence.tokens = examples[i].tokens;
    sequence.key = static_cast<std::int64_t>(i);
    for (const auto& [begin, end] : examples[i].answers) sequence.answers.push_back({begin, end});
  }
  return sequences;
}

std::vector<std::int64_t> RowBegins(const std::vector<corpus::Example>& examples) {
  std::vector<std::int64_t> begins = {0};
  for (std::size_t i = 0; i < examples.size(); ++i) {
    begins.push_back(begins.back() + llama::RowsOf(SequencesOf(examples, {&i, 1}).front()));
  }
  return begins;
}

std::int64_t LongestOf(const std::vector<corpus::Example>& examples) {
  std::int64_t longest = 0;
  for (const corpus::Example& example : examples) {
    longest = std::max<std::int64_t>(longest, std::ssize(example.tokens));
  }
  return longest;
}

}  // namespace dashf::train
