// Jinja2's filters, with transformers' tojson. Internal to this module.
#pragma once

#include <string_view>

#include "jinja/value.h"

namespace dashf::jinja {

// Fails for a filter that Jinja2 has not or this module has not, unless a condition may avoid it.
void CheckFilterName(std::string_view name, bool conditional, int line);
bool IsFilter(std::string_view name);  // Of Jinja2's.
// arguments.positional[0] is what is filtered.
Value ApplyFilter(std::string_view name, Arguments arguments, Budget& budget);

}  // namespace dashf::jinja
