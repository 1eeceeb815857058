#include "jinja/budget.h"

#include <fmt/format.h>

namespace dashf::jinja {

void Budget::Spend(std::size_t steps) {
  if (steps > limits_.steps - steps_) {
    throw Failure{fmt::format("takes more than {} steps", limits_.steps)};
  }
  steps_ += steps;
}

void Budget::SpendBytes(std::size_t bytes) {
  if (bytes > limits_.bytes) {
    throw Failure{fmt::format("makes a text of more than {} bytes", limits_.bytes)};
  }
  Spend(bytes / 64);
}

void Budget::Descend() {
  if (depth_ == limits_.depth) {
    throw Failure{fmt::format("nests or recurs deeper than {} levels", limits_.depth)};
  }
  ++depth_;
}

}  // namespace dashf::jinja
