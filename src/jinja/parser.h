// Tokens to a tree, by jinja2's grammar. Internal to this module.
#pragma once

#include <string_view>

#include "jinja/syntax.h"

namespace dashf::jinja {

struct Program {
  Body body;
  bool marks_generation = false;  // Has {% generation %}.
};

// `source` must be valid UTF-8. Throws Failure, with its line, for what breaks the grammar and for
// what jinja2 has and this module has not.
Program ParseProgram(std::string_view source);

}  // namespace dashf::jinja
