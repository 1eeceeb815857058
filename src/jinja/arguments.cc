#include "jinja/arguments.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf::jinja {

Parameters::Parameters(std::string_view function,
                       std::initializer_list<std::string_view> names,
                       Arguments arguments,
                       std::size_t required)
    : function_(function), values_(names.size()), given_(names.size()) {
  if (arguments.positional.size() > names.size()) {
    throw Failure{fmt::format("{} takes at most {} arguments, got {}",
                              function,
                              names.size(),
                              arguments.positional.size())};
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = std::move(arguments.positional[i]);
    given_[i] = true;
  }
  for (auto& [name, value] : arguments.named) {
    const auto found = std::ranges::find(names, name);
    const auto index = static_cast<std::size_t>(found - names.begin());
    if (found == names.end() || given_[index]) {
      throw Failure{fmt::format("{} takes no argument '{}' here", function, name)};
    }
    values_[index] = std::move(value);
    given_[index] = true;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (!given_[i]) {
      throw Failure{fmt::format("{} needs the argument '{}'", function, names.begin()[i])};
    }
  }
}

bool Parameters::Flag(std::size_t index, bool otherwise) const {
  return given_[index] ? Truth(values_[index]) : otherwise;
}

std::int64_t Parameters::Integer(std::size_t index, std::int64_t otherwise) const {
  if (!given_[index]) return otherwise;
  if (!values_[index].IsWhole()) {
    throw Failure{
        fmt::format("{} needs an integer, got '{}'", function_, TypeName(values_[index]))};
  }
  return values_[index].whole();
}

std::optional<std::string_view> Parameters::TextIfAny(std::size_t index) const {
  if (!given_[index] || values_[index].Is<None>()) return std::nullopt;
  if (!values_[index].IsText()) {
    throw Failure{fmt::format("{} needs a string, got '{}'", function_, TypeName(values_[index]))};
  }
  return values_[index].text();
}

}  // namespace dashf::jinja
