// The regular expressions by which PEFT's "target_modules" and "exclude_modules" may name modules.
// Internal to this module.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace dashf::train {

// An expression that Python's `re`, which PEFT uses, and PCRE2 read alike, against whole names.
// Errors are rules without a place: "must be a regular expression: ...".
class ModulePattern {
 public:
  static tl::expected<ModulePattern, std::string> Compile(std::string_view expression);

  // An error where the expression takes too long to tell.
  tl::expected<bool, std::string> Matches(std::string_view module) const;

 private:
  struct Compiled;
  explicit ModulePattern(std::shared_ptr<const Compiled> compiled)
      : compiled_(std::move(compiled)) {}

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace dashf::train
