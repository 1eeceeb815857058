#include "sweep/design.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "base/rng.h"

namespace dashf::sweep {
namespace {

constexpr double kNodesMax = 1e6;
constexpr std::uint64_t kSeedMax = std::uint64_t{1} << 62;
constexpr std::size_t kSeedsMax = 100'000;

struct Parameter {
  const char* name;
  bool counts;  // Whole numbers from 1 to kNodesMax; else positive ones.
  void (*set)(double value, StudySettings* settings);
};

constexpr std::array kParameters = {
    Parameter{"users", true, [](double v, auto* s) { s->users = static_cast<int>(v); }},
    Parameter{"servers", true, [](double v, auto* s) { s->servers = static_cast<int>(v); }},
    Parameter{"candidates", true, [](double v, auto* s) { s->candidates = static_cast<int>(v); }},
    Parameter{"area-side-m", false, [](double v, auto* s) { s->options.area_side_m = v; }},
    Parameter{"bandwidth-hz", false, [](double v, auto* s) { s->options.bandwidth_hz = v; }},
    Parameter{"user-tx-power-w", false, [](double v, auto* s) { s->options.user_tx_power_w = v; }},
    Parameter{
        "server-tx-power-w", false, [](double v, auto* s) { s->options.server_tx_power_w = v; }},
    Parameter{"delay-weight-per-s", false, [](double v, auto* s) { s->delay_weight_per_s = v; }},
    Parameter{"energy-weight-per-j", false, [](double v, auto* s) { s->energy_weight_per_j = v; }},
};

const Parameter* Find(std::string_view name) {
  const auto found = std::ranges::find(kParameters, name, &Parameter::name);
  return found == kParameters.end() ? nullptr : &*found;
}

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> Pieces(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(',', begin);
    pieces.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return pieces;
    begin = end + 1;
  }
}

}  // namespace

Expected<Scenario> Generate(const StudySettings& settings, std::uint64_t seed) {
  auto scenario = GenerateStudy(
      settings.users, settings.servers, settings.options, Rng(seed), settings.candidates);
  if (!scenario) return scenario;
  Objective& objective = scenario->objective;
  objective.delay_weight_per_s = settings.delay_weight_per_s.value_or(objective.delay_weight_per_s);
  objective.energy_weight_per_j =
      settings.energy_weight_per_j.value_or(objective.energy_weight_per_j);
  return scenario;
}

std::vector<std::string> ParameterNames() {
  std::vector<std::string> names;
  for (const Parameter& parameter : kParameters) names.emplace_back(parameter.name);
  return names;
}

Expected<Varied> ParseVaried(const std::string& text) {
  const auto refuse = [](std::string rule) {
    return Fail(ErrorKind::kUsage, "--vary", std::move(rule));
  };
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return refuse(fmt::format("must be PARAMETER=VALUE,VALUE,..., got {}", text));
  }
  Varied varied{text.substr(0, equals), {}};
  const Parameter* parameter = Find(varied.parameter);
  if (parameter == nullptr) {
    return refuse(fmt::format(
        "must vary one of {}, got {}", fmt::join(ParameterNames(), ", "), varied.parameter));
  }
  for (const std::string_view piece : Pieces(std::string_view(text).substr(equals + 1))) {
    const auto value = ParseNumber<double>(piece);
    const bool sound =
        value && std::isfinite(*value) && *value > 0.0 &&
        (!parameter->counts || (*value == std::floor(*value) && *value <= kNodesMax));
    if (!sound) {
      return refuse(
          fmt::format("{} must be {}, got \"{}\"",
                      varied.parameter,
                      parameter->counts ? "a whole number from 1 to 1000000" : "a number above 0",
                      piece));
    }
    if (std::ranges::count(varied.values, *value) > 0) {
      return refuse(fmt::format("{} has {} twice", varied.parameter, piece));
    }
    varied.values.push_back(*value);
  }
  return varied;
}

Expected<std::vector<std::uint64_t>> ParseSeeds(const std::string& text) {
  const auto refuse = [&text] {
    return Fail(ErrorKind::kUsage,
                "--seeds",
                fmt::format("must be FIRST..LAST or a list without repetition, got {}", text));
  };
  std::vector<std::uint64_t> seeds;
  if (const std::size_t dots = text.find(".."); dots != std::string::npos) {
    const auto first = ParseNumber<std::uint64_t>(std::string_view(text).substr(0, dots));
    const auto last = ParseNumber<std::uint64_t>(std::string_view(text).substr(dots + 2));
    if (!first || !last || *first > *last || *last > kSeedMax || *last - *first >= kSeedsMax) {
      return refuse();
    }
    for (std::uint64_t seed = *first; seed <= *last; ++seed) seeds.push_back(seed);
    return seeds;
  }
  for (const std::string_view piece : Pieces(text)) {
    const auto seed = ParseNumber<std::uint64_t>(piece);
    if (!seed || *seed > kSeedMax || std::ranges::count(seeds, *seed) > 0) return refuse();
    seeds.push_back(*seed);
  }
  return seeds;
}

Expected<void> Design::Validate() const {
  std::set<std::string> names;
  for (const Varied& one : varied) {
    if (names.insert(one.parameter).second) continue;
    return Fail(ErrorKind::kUsage, "--vary", one.parameter + " is given twice");
  }
  return {};
}

std::vector<std::vector<double>> Design::Points() const {
  std::vector<std::vector<double>> points = {{}};
  for (const Varied& one : varied) {
    std::vector<std::vector<double>> longer;
    for (const std::vector<double>& point : points) {
      for (const double value : one.values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    }
    points = std::move(longer);
  }
  return points;
}

StudySettings Design::At(const std::vector<double>& point) const {
  StudySettings settings = fixed;
  for (std::size_t i = 0; i < varied.size(); ++i)
    Find(varied[i].parameter)->set(point[i], &settings);
  return settings;
}

nlohmann::ordered_json Design::Settings() const {
  const GeneratorOptions& options = fixed.options;
  const auto or_null = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json settings = {
      {"users", fixed.users},
      {"servers", fixed.servers},
      {"candidates", or_null(fixed.candidates)},
      {"delay", options.delay == DelayMode::kSum ? "sum" : "makespan"},
      {"compute_energy",
       options.compute_energy == ComputeEnergy::kCubicPower ? "cubic" : "per-flop"},
      {"all_local", options.all_local_allowed},
      {"area_side_m", options.area_side_m},
      {"bandwidth_hz", options.bandwidth_hz},
      {"user_tx_power_w", options.user_tx_power_w},
      {"server_tx_power_w", options.server_tx_power_w},
      {"methods", methods},
      {"time_limit_s",
       std::isfinite(time_limit_s) ? nlohmann::ordered_json(time_limit_s)
                                   : nlohmann::ordered_json()}};
  std::vector<std::string> parameters;
  for (const Varied& one : varied) parameters.push_back(one.parameter);
  settings["varied"] = parameters;
  return settings;
}

std::vector<Job> JobsOf(const Design& design) {
  std::vector<Job> jobs;
  for (const std::vector<double>& point : design.Points()) {
    for (const std::uint64_t seed : design.seeds) jobs.push_back({point, seed});
  }
  return jobs;
}

std::string Text(const Design& design, const std::vector<double>& point) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < point.size(); ++i) {
    parts.push_back(fmt::format("{} = {}", design.varied[i].parameter, point[i]));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace dashf::sweep
