// dashf new: a scenario from a seed, a measured profile, places or gains.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/file.h"
#include "base/rng.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/planner/doubts.h"
#include "cli/planner/out_file.h"
#include "cli/planner/study_options.h"
#include "scenario/channel.h"
#include "scenario/families.h"
#include "scenario/gain_matrix.h"
#include "scenario/generator.h"
#include "scenario/places.h"
#include "scenario/plausibility.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

constexpr int kCandidatesAtPlaces = 8;
constexpr int kUsersMax = 1'000'000;

struct ChannelArguments {
  std::string model = "3gpp-36.814";
  std::optional<double> carrier_hz, site_height_m, user_height_m;  // Else the model's.
  std::optional<bool> shadowing, fading;
};

struct Arguments {
  sweep::StudySettings study;
  std::uint64_t seed = 1;
  std::string profile;
  std::string family;
  std::string users = "10";  // A number, or a file of places.
  std::string sites;
  std::vector<std::string> eua;  // Sites, users: the same as --sites and --users.
  PlacesOptions sampling;
  ChannelArguments channel;
  std::string gains;
  bool gains_in_db = false;
  std::string out;

  bool at_places() const { return !sites.empty() || !eua.empty(); }
};

Channel ChannelOf(const ChannelArguments& arguments) {
  const auto names = ChannelNames();
  const auto named = std::find_if(names.begin(), names.end(), [&](const ChannelName& name) {
    return name.name == arguments.model;
  });
  Channel channel = DefaultChannel(named->model);
  channel.carrier_hz = arguments.carrier_hz.value_or(channel.carrier_hz);
  channel.site_height_m = arguments.site_height_m.value_or(channel.site_height_m);
  channel.user_height_m = arguments.user_height_m.value_or(channel.user_height_m);
  channel.shadowing = arguments.shadowing.value_or(channel.shadowing);
  channel.fading = arguments.fading.value_or(channel.fading);
  return channel;
}

void Warn(const std::string& text) {
  fmt::print(stderr, "warning: {}\n", text);
}

// What TR 38.901 does not cover and was extended to.
void WarnOfRange(const Channel& channel, const Scenario& scenario) {
  const Channel standard = DefaultChannel(channel.model);
  if (!standard.shadowing) return;
  if (channel.site_height_m != standard.site_height_m) {
    Warn(fmt::format("this model of TR 38.901 is for sites {:g} m high, not {:g} m",
                     standard.site_height_m,
                     channel.site_height_m));
  }
  std::size_t beyond = 0;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const Position& user = scenario.users[n].position_m;
    for (const Link& link : scenario.links[n]) {
      const Position& site = scenario.servers[static_cast<std::size_t>(link.server)].position_m;
      beyond += std::hypot(user.x_m - site.x_m, user.y_m - site.y_m) > kTr38901DistanceMaxM;
    }
  }
  if (beyond > 0) {
    Warn(fmt::format("{} links are longer than the 5 km that TR 38.901 is stated for", beyond));
  }
}

Expected<int> CountOfUsers(const Arguments& arguments) {
  int users = 0;
  const std::string& text = arguments.users;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), users);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole && users >= 1 && users <= kUsersMax) return users;
  return Fail(ErrorKind::kUsage,
              "--users",
              fmt::format("must be a number from 1 to {}, or a CSV file beside --sites; got \"{}\"",
                          kUsersMax,
                          text));
}

Expected<Scenario> GenerateAtPlaces(Arguments& arguments) {
  const bool eua = !arguments.eua.empty();
  arguments.sampling.seed = arguments.seed;
  arguments.sampling.on_progress = [](const std::string& path, std::size_t lines) {
    fmt::print(stderr, "{}: {} million lines\n", path, lines / 1'000'000);
  };
  const auto places = ReadPlaces(eua ? arguments.eua[0] : arguments.sites,
                                 eua ? arguments.eua[1] : arguments.users,
                                 arguments.sampling);
  if (!places) return tl::unexpected(places.error());
  for (const std::string& remark : places->remarks) Warn(remark);
  const GeneratorOptions& options = arguments.study.options;
  const int all = static_cast<int>(places->geography.servers.size());
  return GenerateAt(places->geography,
                    arguments.study.candidates.value_or(options.gains ? all : kCandidatesAtPlaces),
                    options,
                    Rng(arguments.seed));
}

Expected<void> ReadFiles(Arguments* arguments) {
  GeneratorOptions& options = arguments->study.options;
  if (!arguments->profile.empty()) {
    auto measured = ReadProfile(arguments->profile);
    if (!measured) return tl::unexpected(measured.error());
    options.profile = std::move(*measured);
  }
  if (!arguments->gains.empty()) {
    auto gains = ReadGainMatrix(arguments->gains,
                                arguments->gains_in_db ? GainUnit::kDb : GainUnit::kLinear);
    if (!gains) return tl::unexpected(gains.error());
    options.gains = std::make_shared<const GainMatrix>(std::move(*gains));
  }
  return {};
}

Expected<Scenario> Generate(Arguments& arguments) {
  GeneratorOptions& options = arguments.study.options;
  options.channel = ChannelOf(arguments.channel);
  if (auto sound = ValidateChannel(options.channel); !sound) return tl::unexpected(sound.error());
  if (auto read = ReadFiles(&arguments); !read) return tl::unexpected(read.error());
  if (arguments.at_places()) return GenerateAtPlaces(arguments);
  const auto users = CountOfUsers(arguments);
  if (!users) return tl::unexpected(users.error());
  arguments.study.users = *users;
  if (arguments.family.empty()) return sweep::Generate(arguments.study, arguments.seed);
  return GenerateFamily(arguments.family,
                        arguments.study.users,
                        arguments.study.servers,
                        options,
                        Rng(arguments.seed),
                        arguments.study.candidates);
}

Expected<int> RunNew(Arguments arguments) {
  const std::string none;
  const bool eua = !arguments.eua.empty(), own = arguments.at_places();
  if (auto fits = CheckOut(arguments.out,
                           {arguments.profile,
                            arguments.gains,
                            eua ? arguments.eua[0] : arguments.sites,
                            eua ? arguments.eua[1] : (own ? arguments.users : none)});
      !fits) {
    return tl::unexpected(fits.error());
  }
  const auto scenario = Generate(arguments);
  if (!scenario) return tl::unexpected(scenario.error());
  const Channel& channel = arguments.study.options.channel;
  if (arguments.gains.empty()) WarnOfRange(channel, *scenario);
  if (own || !arguments.gains.empty()) {
    for (const Doubt& doubt : FindDoubts(*scenario)) Warn(Sentence(doubt));
  }
  if (const auto written = WriteFileAtomically(arguments.out, WriteScenario(*scenario)); !written) {
    return tl::unexpected(written.error());
  }
  fmt::print(stderr,
             "{}: {}, {}, {} delay, seed {}\n",
             arguments.out,
             Counted(scenario->users.size(), "user"),
             Counted(scenario->servers.size(), "server"),
             scenario->objective.delay == DelayMode::kSum ? "sum" : "makespan",
             arguments.seed);
  return kExitOk;
}

std::string FamilyList() {
  std::string list;
  for (const Family& family : Families()) {
    list += fmt::format("  {:<17} {}\n", family.name, family.summary);
  }
  return list;
}

std::string ChannelList() {
  std::string list;
  for (const ChannelName& channel : ChannelNames()) {
    list += fmt::format("  {:<17} {}\n", channel.name, channel.summary);
  }
  return list;
}

// --name and --no-name; neither leaves the value as it is.
void AddSwitch(Command verb,
               const std::string& name,
               const std::string& help,
               std::optional<bool>* value) {
  Option on = verb.add_flag_callback(
      "--" + name, [value] { *value = true; }, help);
  verb.add_flag_callback(
          "--no-" + name, [value] { *value = false; }, "Do not")
      .excludes(on);
}

void AddChannelOptions(Command verb, Arguments* arguments) {
  ChannelArguments& channel = arguments->channel;
  std::vector<std::string> names;
  for (const ChannelName& name : ChannelNames()) names.emplace_back(name.name);
  verb.add_option("--channel", channel.model, "One of the channel models below")
      .check(IsMember(names))
      .capture_default_str();
  verb.add_option("--carrier-hz", channel.carrier_hz, "Carrier frequency [2e9]");
  verb.add_option(
      "--site-height-m", channel.site_height_m, "Antennas of sites [25; 10 with 3gpp-38.901-umi]");
  verb.add_option("--user-height-m", channel.user_height_m, "Antennas of users [1.5]");
  AddSwitch(verb,
            "shadowing",
            "Draw log-normal shadowing [with 3gpp-38.901 alone, and by default there]",
            &channel.shadowing);
  AddSwitch(verb, "fading", "Draw Rayleigh fading [by default with 3gpp-36.814]", &channel.fading);
  Option gains = verb.add_option(
      "--gains", arguments->gains, "Power gains from a file instead: CSV or .npy, users x servers");
  verb.add_flag("--gains-db", arguments->gains_in_db, "They are in dB: -87.5").needs(gains);
}

void AddPlaceOptions(Command verb, Arguments* arguments) {
  const std::vector<Option> square =
      AddStudyOptions(verb, &arguments->study, "all; 8 at places of one's own");
  Option users = verb.add_option("--users", arguments->users, "Users: how many, or their places")
                     .type_name("NUMBER|CSV")
                     .capture_default_str();
  Option sites = verb.add_option("--sites", arguments->sites, "Places of edge servers")
                     .type_name("CSV")
                     .needs(users);
  Option eua = verb.add_option("--eua", arguments->eua, "The same as --sites SITES --users USERS")
                   .type_name("SITES USERS")
                   .expected(2);
  eua.excludes(users).excludes(sites);
  for (const Option& option : square) {
    eua.excludes(option);
    sites.excludes(option);
  }
  constexpr std::uint64_t kMax = kPlacesMax;
  verb.add_option("--sample-sites",
                  arguments->sampling.sites_sample,
                  "Draw so many of the sites in the file [all]")
      .check(Range(std::uint64_t{1}, kMax));
  verb.add_option("--sample-users",
                  arguments->sampling.users_sample,
                  "Draw so many of the users in the file [all]")
      .check(Range(std::uint64_t{1}, kMax));
  verb.add_option("--family", arguments->family, "One of the families below [the default study]")
      .excludes(eua)
      .excludes(sites);
}

void AddOptions(Command verb, Arguments* arguments) {
  AddPlaceOptions(verb, arguments);
  AddChannelOptions(verb, arguments);
  GeneratorOptions& options = arguments->study.options;
  verb.add_option("--seed", arguments->seed, "Same seed, same scenario")
      .check(Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      .capture_default_str();
  Option profile = verb.add_option(
      "--profile", arguments->profile, "Measured dashf.profile/1 instead of the analytic 1B Llama");
  verb.add_option("--machine-share",
                  options.machine_share,
                  "Fastest user device, as a share of the profile's machine")
      .check(FinitePositive())
      .capture_default_str()
      .needs(profile);
  verb.add_option("--name", options.name, "The scenario's name").capture_default_str();
  verb.add_option("--out", arguments->out, "File to write").required();
}

}  // namespace

void AddNew(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand(
      "new", "Make a scenario: the default study, or places and gains of your own");
  AddOptions(verb, arguments.get());
  verb.footer(
      "Families of scenarios (--area-side-m is then the side for two servers; the other families "
      "keep\nthe number of servers per area):\n" +
      FamilyList() + "Channel models (docs/scenarios.md):\n" + ChannelList() +
      "Columns of --sites and --users, by name, separated by commas, semicolons or tabs: latitude "
      "and\n"
      "longitude (or lat and lon) in degrees, or x_m and y_m; optional: id, name, tx_power_w, "
      "clock_hz;\n"
      "of sites bandwidth_hz, slots, coverage_radius_m; of users memory_bytes, profile.\n"
      "Examples:\n"
      "  dashf new --seed 7 --out scenario.json\n"
      "  dashf new --users 50 --servers 5 --delay makespan --bandwidth-hz 1e6 --out scenario.json\n"
      "  dashf new --users 10000 --servers 200 --candidates 8 --out large.json\n"
      "  dashf new --family clustered --users 50 --servers 5 --out clustered.json\n"
      "  dashf new --profile profile.json --out scenario.json\n"
      "  dashf new --sites sites.csv --users users.csv --out melbourne.json\n"
      "  dashf new --sites s.csv --users u.csv --channel 3gpp-38.901-uma --carrier-hz 3.5e9 --out "
      "city.json\n"
      "  dashf new --users 30 --servers 4 --gains raytraced.npy --out traced.json");
  verb.callback([arguments, &run] { run = [arguments] { return RunNew(*arguments); }; });
}

}  // namespace dashf::cli
