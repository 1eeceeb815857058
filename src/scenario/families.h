// The instance library: scenarios that differ from the default study in one respect each - where
// people are, how many slots there are, what splits cost, what a second and a joule are worth - so
// that a planner is judged on more than one kind of network. docs/study.md states every constant.
// Pure: safe from any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/rng.h"
#include "scenario/generator.h"
#include "scenario/scenario.h"

namespace dashf {

struct Family {
  std::string_view name;
  std::string_view summary;  // One line.
};

std::span<const Family> Families();

// A scenario of the family `name`, with `options` as in GenerateStudy(); "uniform" is the default
// study itself. `options.area_side_m` is the side of the square for two servers: the other families
// keep the number of servers per area. kUsage names an option out of range or an unknown family.
Expected<Scenario> GenerateFamily(std::string_view name,
                                  int users,
                                  int servers,
                                  const GeneratorOptions& options,
                                  const Rng& rng,
                                  std::optional<int> candidates = {});

}  // namespace dashf
