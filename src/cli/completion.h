// What a shell may put in the place of the word that is being typed: asked by the scripts under
// completion/ through `dashf --complete WORD...`, answered from the application as it stands.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace dashf::cli {

inline constexpr std::string_view kComplete = "--complete";

struct Candidate {
  std::string word;
  std::string description;  // A line; may be empty.
};

// For the last of `words`, which follow the program's name and of which the last may be empty:
// verbs, flags, or the values of a flag that has a choice. Nothing where a file or free text is
// asked for.
std::vector<Candidate> Complete(const CLI::App& app, std::span<const std::string_view> words);

}  // namespace dashf::cli
