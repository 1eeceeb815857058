// Scenarios from a seed: the default study, its families, and places of one's own.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/rng.h"
#include "bindings.h"
#include "columns.h"
#include "held_scenario.h"
#include "scenario/channel.h"
#include "scenario/families.h"
#include "scenario/gain_matrix.h"
#include "scenario/generator.h"
#include "scenario/places.h"
#include "scenario/profile_io.h"
#include "sweep/design.h"

namespace nb = nanobind;

namespace dashf::python {
namespace {

// Reads members of a dictionary that Python has filled with the right types; absent or None: as it
// is.
class Settings {
 public:
  explicit Settings(const nb::dict& values) : values_(values) {}
  bool Has(const char* name) const {
    return values_.contains(name) && !nb::object(values_[name]).is_none();
  }
  template <class T>
  T At(const char* name) const {
    return nb::cast<T>(values_[name]);
  }
  template <class T>
  void Read(const char* name, T* value) const {
    if (Has(name)) *value = At<T>(name);
  }
  template <class T>
  void Read(const char* name, std::optional<T>* value) const {
    if (Has(name)) *value = At<T>(name);
  }

 private:
  const nb::dict& values_;
};

Channel ReadChannel(const Settings& settings) {
  Channel channel = DefaultChannel(ChannelModel::kTr36814);
  if (settings.Has("channel")) {
    const auto name = settings.At<std::string>("channel");
    const auto names = ChannelNames();
    const auto named = std::ranges::find(names, name, &ChannelName::name);
    if (named == names.end()) {
      std::string known;
      for (const ChannelName& one : names)
        known += (known.empty() ? "" : ", ") + std::string(one.name);
      Raise({ErrorKind::kUsage, "channel", "must be one of " + known + ", got " + name});
    }
    channel = DefaultChannel(named->model);
  }
  settings.Read("carrier_hz", &channel.carrier_hz);
  settings.Read("site_height_m", &channel.site_height_m);
  settings.Read("user_height_m", &channel.user_height_m);
  settings.Read("shadowing", &channel.shadowing);
  settings.Read("fading", &channel.fading);
  return channel;
}

std::shared_ptr<const GainMatrix> ReadGains(const Table& table) {
  auto gains = std::make_shared<GainMatrix>();
  gains->users = table.shape(0);
  gains->servers = table.shape(1);
  gains->gains.reserve(gains->users * gains->servers);
  for (std::size_t n = 0; n < gains->users; ++n) {
    for (std::size_t m = 0; m < gains->servers; ++m) {
      const double gain = table(n, m);
      if (!(gain >= 0.0 && std::isfinite(gain))) {
        RaiseBadInput(
            "gain[" + std::to_string(n) + ", " + std::to_string(m) + "]",
            "must be a number > 0, or 0 where there is no link, got " + std::to_string(gain));
      }
      gains->gains.push_back(gain);
    }
  }
  return gains;
}

sweep::StudySettings ReadStudy(const Settings& settings) {
  sweep::StudySettings study;
  settings.Read("users", &study.users);
  settings.Read("servers", &study.servers);
  settings.Read("candidates", &study.candidates);
  settings.Read("delay_weight_per_s", &study.delay_weight_per_s);
  settings.Read("energy_weight_per_j", &study.energy_weight_per_j);
  GeneratorOptions& options = study.options;
  settings.Read("name", &options.name);
  if (settings.Has("delay") && settings.At<std::string>("delay") == "makespan") {
    options.delay = DelayMode::kMakespan;
  }
  if (settings.Has("compute_energy") && settings.At<std::string>("compute_energy") == "per-flop") {
    options.compute_energy = ComputeEnergy::kConstantPerFlop;
  }
  settings.Read("all_local_allowed", &options.all_local_allowed);
  settings.Read("area_side_m", &options.area_side_m);
  settings.Read("bandwidth_hz", &options.bandwidth_hz);
  settings.Read("user_tx_power_w", &options.user_tx_power_w);
  settings.Read("server_tx_power_w", &options.server_tx_power_w);
  settings.Read("machine_share", &options.machine_share);
  options.channel = ReadChannel(settings);
  if (settings.Has("gain")) options.gains = ReadGains(settings.At<Table>("gain"));
  if (settings.Has("profile")) {
    options.profile = OrRaise(ReadProfile(settings.At<std::string>("profile")));
  }
  return study;
}

ScenarioPointer Finish(Expected<Scenario> made, const sweep::StudySettings& study) {
  if (made) {
    Objective& objective = made->objective;
    objective.delay_weight_per_s = study.delay_weight_per_s.value_or(objective.delay_weight_per_s);
    objective.energy_weight_per_j =
        study.energy_weight_per_j.value_or(objective.energy_weight_per_j);
    if (const auto sound = Validate(*made); !sound) made = tl::unexpected(sound.error());
  }
  return std::make_shared<HeldScenario>(OrRaise(std::move(made)), "");
}

ScenarioPointer Generate(const nb::dict& values, std::uint64_t seed) {
  const Settings settings(values);
  const sweep::StudySettings study = ReadStudy(settings);
  OrRaise(ValidateChannel(study.options.channel));
  if (!settings.Has("family")) return Finish(sweep::Generate(study, seed), study);
  return Finish(GenerateFamily(settings.At<std::string>("family"),
                               study.users,
                               study.servers,
                               study.options,
                               Rng(seed),
                               study.candidates),
                study);
}

std::vector<Position> ReadPositions(const Table& table) {
  std::vector<Position> places(table.shape(0));
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = {table(i, 0), table(i, 1)};
  return places;
}

// `sites` and `users` are both tables (places, 2) in metres or both paths of CSV files.
nb::tuple GenerateAtPlaces(const nb::object& sites,
                           const nb::object& users,
                           const nb::dict& values,
                           std::uint64_t seed) {
  const Settings settings(values);
  const sweep::StudySettings study = ReadStudy(settings);
  OrRaise(ValidateChannel(study.options.channel));
  Places places;
  if (nb::isinstance<nb::str>(sites)) {
    PlacesOptions sampling;
    sampling.seed = seed;
    settings.Read("sample_sites", &sampling.sites_sample);
    settings.Read("sample_users", &sampling.users_sample);
    places =
        OrRaise(ReadPlaces(nb::cast<std::string>(sites), nb::cast<std::string>(users), sampling));
  } else {
    places.geography.servers = ReadPositions(nb::cast<Table>(sites));
    places.geography.users = ReadPositions(nb::cast<Table>(users));
  }
  constexpr int kCandidates = 8;
  const int all = static_cast<int>(places.geography.servers.size());
  const int candidates = study.candidates.value_or(study.options.gains ? all : kCandidates);
  auto made = GenerateAt(places.geography, candidates, study.options, Rng(seed));
  return nb::make_tuple(Finish(std::move(made), study), places.remarks);
}

// Large-scale gains by distance, of the models that need no draw.
Array PathGains(const nb::dict& values, const Table& distances_m) {
  const Channel channel = ReadChannel(Settings(values));
  OrRaise(ValidateChannel(channel));
  std::vector<double> gains;
  gains.reserve(distances_m.size());
  for (std::size_t n = 0; n < distances_m.shape(0); ++n) {
    for (std::size_t m = 0; m < distances_m.shape(1); ++m) {
      gains.push_back(std::pow(10.0, -PathLossDb(channel, distances_m(n, m), true) / 10.0));
    }
  }
  return Array(Own(std::move(gains), {distances_m.shape(0), distances_m.shape(1)}));
}

std::vector<std::pair<std::string, std::string>> NamedFamilies() {
  std::vector<std::pair<std::string, std::string>> named;
  for (const Family& family : Families()) named.emplace_back(family.name, family.summary);
  return named;
}
std::vector<std::pair<std::string, std::string>> NamedChannels() {
  std::vector<std::pair<std::string, std::string>> named;
  for (const ChannelName& channel : ChannelNames())
    named.emplace_back(channel.name, channel.summary);
  return named;
}

}  // namespace

void BindGeneration(nb::module_& module) {
  module.def("generate", Generate);
  module.def("generate_at_places", GenerateAtPlaces);
  module.def("path_gains", PathGains);
  module.def("families", NamedFamilies);
  module.def("channels", NamedChannels);
}

}  // namespace dashf::python
