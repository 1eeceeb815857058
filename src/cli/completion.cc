#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace dashf::cli {
namespace {

std::string FirstLine(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::vector<const CLI::App*> VerbsBelow(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::Option* FlagNamed(const CLI::App& app, std::string_view word) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (word == "--" + name) return option;
    }
  }
  return nullptr;
}

// How many of the words behind a flag are its values for certain.
int ValuesOf(const CLI::Option& option) {
  constexpr int kMany = 8;  // More is CLI11's word for any number.
  const int most = option.get_items_expected_max();
  return most > kMany ? 1 : most;
}

// As --help has them: `TEXT:{sum,makespan}`.
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t begin = type.find(":{");
  const std::size_t end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 2, end - begin - 2), ',');
}

// Where the line stands before its last word.
struct Place {
  const CLI::App* app;
  const CLI::Option* flag = nullptr;  // Whose value comes next.
};

Place Follow(const CLI::App& app, std::span<const std::string_view> words) {
  Place place{&app};
  int values = 0;
  for (const std::string_view word : words) {
    if (word.starts_with("--")) {
      place.flag = FlagNamed(*place.app, word);
      values = place.flag == nullptr ? 0 : ValuesOf(*place.flag);
    } else if (values > 0) {
      --values;
    } else {
      const std::vector<const CLI::App*> verbs = VerbsBelow(*place.app);
      const auto verb = std::ranges::find(verbs, word, &CLI::App::get_name);
      if (verb != verbs.end()) place.app = *verb;
    }
    if (values == 0) place.flag = nullptr;
  }
  return place;
}

}  // namespace

std::vector<Candidate> Complete(const CLI::App& app, std::span<const std::string_view> words) {
  if (words.empty()) return {};
  const Place place = Follow(app, words.first(words.size() - 1));
  const std::string_view typed = words.back();
  std::vector<Candidate> all;
  if (place.flag != nullptr) {
    // Of several values between commas the last one is being typed.
    const bool several = place.flag->get_delimiter() == ',';
    const std::string before(typed.substr(0, several ? typed.rfind(',') + 1 : 0));
    for (const std::string& choice : ChoicesOf(*place.flag)) all.push_back({before + choice, {}});
  } else if (typed.starts_with('-')) {
    for (const CLI::Option* option : place.app->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        all.push_back({"--" + name, FirstLine(option->get_description())});
      }
    }
  } else {
    for (const CLI::App* verb : VerbsBelow(*place.app)) {
      all.push_back({verb->get_name(), FirstLine(verb->get_description())});
    }
  }
  std::erase_if(all, [&](const Candidate& one) { return !one.word.starts_with(typed); });
  return all;
}

}  // namespace dashf::cli
