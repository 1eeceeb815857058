// Templates in the language of Jinja2, carried out as transformers carries out chat templates: with
// trim_blocks and lstrip_blocks, break and continue, {% generation %}, its own tojson,
// raise_exception and strftime_now, and a sandbox in which nothing but namespaces can change. What
// is not supported is refused by name, never rendered otherwise; the reference is jinja2 3.1.6.
#pragma once

#include <cstddef>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "jinja/limits.h"

namespace dashf::jinja {

struct Program;

struct Rendering {
  std::string text;
  // What {% generation %} blocks gave: begin and end in bytes of the text.
  std::vector<std::pair<std::size_t, std::size_t>> generations;
};

// Immutable and cheap to copy; safe from any thread.
class Template {
 public:
  // `name` is the place that errors name, with the line. kBadInput for what breaks the grammar, is
  // no UTF-8, has more than kSourceBytesMax bytes, or is not supported.
  static Expected<Template> Parse(const std::string& name, std::string_view source);
  static constexpr std::size_t kSourceBytesMax = std::size_t{1} << 20;

  // With the members of the object `variables`, whose texts are read as UTF-8 (what is not becomes
  // U+FFFD); `now` is the clock of strftime_now. kBadInput, with the line, for what the template
  // raises, what Python would raise, what is not supported, and what goes beyond the limits.
  Expected<Rendering> Render(const nlohmann::ordered_json& variables,
                             const std::tm& now,
                             const Limits& limits = {}) const;

  bool marks_generation() const;  // Has {% generation %}.

 private:
  Template(std::string name, std::shared_ptr<const Program> program)
      : name_(std::move(name)), program_(std::move(program)) {}

  std::string name_;
  std::shared_ptr<const Program> program_;
};

}  // namespace dashf::jinja
