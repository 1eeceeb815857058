// Jinja2's tests ("x is defined"). Internal to this module.
#pragma once

#include <string_view>

#include "jinja/value.h"

namespace dashf::jinja {

// Fails for a test that Jinja2 has not, unless a condition may avoid it.
void CheckTestName(std::string_view name, bool conditional, int line);
// arguments.positional[0] is what is tested.
bool PassesTest(std::string_view name, Arguments arguments, Budget& budget);

}  // namespace dashf::jinja
