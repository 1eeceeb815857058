// What a parameter study plans: scenarios of the default study in which some parameters are varied,
// each with several seeds. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "scenario/generator.h"
#include "scenario/scenario.h"

namespace dashf::sweep {

struct StudySettings {
  int users = 10;
  int servers = 2;
  std::optional<int> candidates;  // Strongest servers each user may reach; all.
  GeneratorOptions options;
  std::optional<double> delay_weight_per_s, energy_weight_per_j;  // Else the study's own.
};

// kUsage names what is out of range.
Expected<Scenario> Generate(const StudySettings& settings, std::uint64_t seed);

// A parameter and the values it takes, in the order given.
struct Varied {
  std::string parameter;
  std::vector<double> values;
};

// What may be varied, for messages and help.
std::vector<std::string> ParameterNames();
// "users=10,20,40". kUsage for a name or a value that the parameter cannot have, or one given
// twice.
Expected<Varied> ParseVaried(const std::string& text);
// "1..10", "3" or "1,2,5". kUsage otherwise, and for a seed given twice.
Expected<std::vector<std::uint64_t>> ParseSeeds(const std::string& text);

struct Design {
  StudySettings fixed;
  std::vector<Varied> varied;  // At least one, each of a parameter of its own.
  std::vector<std::uint64_t> seeds;
  std::vector<std::string> methods;
  double time_limit_s = 0.0;  // For each method; infinite: none.

  // kUsage if a parameter is varied twice.
  Expected<void> Validate() const;
  // All combinations of the values, the last parameter's fastest; one value per varied parameter.
  std::vector<std::vector<double>> Points() const;
  StudySettings At(const std::vector<double>& point) const;
  // What two runs must agree on to share a file of results: all but which values and seeds.
  nlohmann::ordered_json Settings() const;
};

// One scenario: a point of the design and a seed.
struct Job {
  std::vector<double> point;
  std::uint64_t seed = 0;
  bool operator==(const Job&) const = default;
  auto operator<=>(const Job&) const = default;
};
// Seed by seed within a point, so that neighbours take about equally long.
std::vector<Job> JobsOf(const Design& design);

// "users = 20, bandwidth-hz = 1e+07".
std::string Text(const Design& design, const std::vector<double>& point);

}  // namespace dashf::sweep
