// What one rendering of a template may take.
#pragma once

#include <cstddef>

namespace dashf::jinja {

struct Limits {
  std::size_t steps = 10'000'000;  // Expressions, statements, items, 64 bytes of text made.
  std::size_t bytes = std::size_t{1} << 26;  // Of one text, the result among them.
  int depth = 800;            // Of expressions, statements and calls within each other.
  int container_depth = 100;  // Of lists and dicts within each other.
};

}  // namespace dashf::jinja
