// What somebody meant who mistyped a name.
#pragma once

#include <string>
#include <vector>

namespace dashf {

// The name that was meant instead of `word`; empty where none is near.
std::string Nearest(const std::string& word, const std::vector<std::string>& names);

// ", did you mean "X"?", or nothing.
std::string MeantInstead(const std::string& nearest);

}  // namespace dashf
