// Scenarios: arrays and text in and out.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/digest.h"
#include "bindings.h"
#include "columns.h"
#include "held_scenario.h"
#include "interruption.h"
#include "scenario/feasibility.h"
#include "scenario/plausibility.h"

namespace nb = nanobind;

namespace dashf::python {

const LoadedScenario& HeldScenario::loaded() {
  std::call_once(named_, [this] {
    if (loaded_.sha256.empty()) loaded_.sha256 = Sha256Hex(WriteScenario(loaded_.scenario));
  });
  return loaded_;
}

namespace {

constexpr int kNoSlotLimit = -1;

template <class Node>
constexpr Column<Node> kCompute[] = {
    {"clock_hz_max", [](Node& n) -> double& { return n.compute.clock_hz_max; }},
    {"flop_per_cycle", [](Node& n) -> double& { return n.compute.flop_per_cycle; }},
    {"kappa_w_per_hz3", [](Node& n) -> double& { return n.compute.kappa_w_per_hz3; }},
    {"energy_j_per_flop", [](Node& n) -> double& { return n.compute.energy_j_per_flop; }}};
constexpr Column<User> kUserColumns[] = {
    {"tx_power_w_max", [](User& user) -> double& { return user.tx_power_w_max; }},
    {"memory_bytes_max", [](User& user) -> double& { return user.memory_bytes_max; }},
    kCompute<User>[0],
    kCompute<User>[1],
    kCompute<User>[2],
    kCompute<User>[3]};
constexpr Column<Server> kServerColumns[] = {
    {"tx_power_w_max", [](Server& server) -> double& { return server.tx_power_w_max; }},
    {"bandwidth_hz", [](Server& server) -> double& { return server.bandwidth_hz; }},
    kCompute<Server>[0],
    kCompute<Server>[1],
    kCompute<Server>[2],
    kCompute<Server>[3]};
using ProfileColumn = std::vector<double> SplitProfile::*;
constexpr std::pair<std::string_view, ProfileColumn> kProfileColumns[] = {
    {"local_flop", &SplitProfile::local_flop},
    {"server_flop", &SplitProfile::server_flop},
    {"upload_bit", &SplitProfile::upload_bit},
    {"download_bit", &SplitProfile::download_bit},
    {"local_memory_bytes", &SplitProfile::local_memory_bytes}};

template <class Node, std::size_t count>
Array NodeColumn(const Column<Node> (&columns)[count],
                 const std::vector<Node>& nodes,
                 std::string_view name,
                 nb::handle owner) {
  const Column<Node>& column = ColumnNamed(columns, name);
  // The table's functions are for writing too; nothing is written here.
  return View(nodes, &column.of(const_cast<Node&>(nodes.front())), owner);
}

template <class Node>
void AssignPositions(const Table& positions, std::vector<Node>* nodes) {
  if (positions.shape(0) != nodes->size() || positions.shape(1) != 2) {
    RaiseBadInput("position_m", "has a wrong shape");
  }
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    (*nodes)[i].position_m = {positions(i, 0), positions(i, 1)};
  }
}

void AssignSlots(const Integers& slots, std::vector<Server>* servers) {
  if (slots.shape(0) != servers->size()) RaiseBadInput("server_slots", "has a wrong length");
  for (std::size_t m = 0; m < servers->size(); ++m) {
    const std::int64_t value = slots(m);
    if (value > std::numeric_limits<int>::max() || value < kNoSlotLimit) {
      RaiseBadInput("servers[" + std::to_string(m) + "].slots",
                    "must be >= 0, or -1 for no limit, got " + std::to_string(value));
    }
    (*servers)[m].slots.reset();
    if (value != kNoSlotLimit) (*servers)[m].slots = static_cast<int>(value);
  }
}

// A gain of 0 is no link.
void AppendLink(std::size_t n, std::int64_t m, double gain, std::vector<Link>* links) {
  if (gain == 0.0) return;
  if (!(gain > 0.0 && std::isfinite(gain))) {
    RaiseBadInput("gain of users[" + std::to_string(n) + "] at servers[" + std::to_string(m) + "]",
                  std::string("must be a number > 0, or 0 where there is no link, got ") +
                      nb::str(nb::float_(gain)).c_str());
  }
  links->push_back({static_cast<int>(m), gain});
}

void AssignGains(const Table& gains, Scenario* scenario) {
  if (gains.shape(0) != scenario->users.size() || gains.shape(1) != scenario->servers.size()) {
    RaiseBadInput("gain", "has a wrong shape");
  }
  scenario->links.resize(gains.shape(0));
  for (std::size_t n = 0; n < gains.shape(0); ++n) {
    std::vector<Link> links;
    links.reserve(gains.shape(1));
    for (std::size_t m = 0; m < gains.shape(1); ++m) {
      AppendLink(n, static_cast<std::int64_t>(m), gains(n, m), &links);
    }
    if (2 * links.size() < links.capacity()) links.shrink_to_fit();
    scenario->links[n] = std::move(links);
  }
}

void AssignLinks(const Integers& user,
                 const Integers& server,
                 const Numbers& gain,
                 Scenario* scenario) {
  scenario->links.assign(scenario->users.size(), {});
  for (std::size_t i = 0; i < user.shape(0); ++i) {
    const bool known =
        user(i) >= 0 && user(i) < static_cast<std::int64_t>(scenario->users.size()) &&
        server(i) >= 0 && server(i) < static_cast<std::int64_t>(scenario->servers.size());
    if (!known) {
      RaiseBadInput("gain",
                    "must name users and servers of the scenario, got entry " + std::to_string(i) +
                        " (" + std::to_string(user(i)) + ", " + std::to_string(server(i)) + ")");
    }
    const auto n = static_cast<std::size_t>(user(i));
    AppendLink(n, server(i), gain(i), &scenario->links[n]);
  }
  for (auto& links : scenario->links) std::ranges::sort(links, {}, &Link::server);
}

void AssignObjective(const nb::dict& values, Objective* objective) {
  constexpr std::pair<std::string_view, double Objective::*> kNumbers[] = {
      {"delay_weight_per_s", &Objective::delay_weight_per_s},
      {"energy_weight_per_j", &Objective::energy_weight_per_j},
      {"score_scale", &Objective::score_scale},
      {"score_gain", &Objective::score_gain}};
  for (const auto& [name, member] : kNumbers) {
    const nb::str key(name.data());
    if (values.contains(key)) objective->*member = nb::cast<double>(values[key]);
  }
  if (values.contains("delay")) {
    objective->delay = nb::cast<std::string_view>(values["delay"]) == "makespan"
                           ? DelayMode::kMakespan
                           : DelayMode::kSum;
  }
  if (values.contains("all_local_allowed")) {
    objective->all_local_allowed = nb::cast<bool>(values["all_local_allowed"]);
  }
}

// A block of profiles of equally many layers: their names, and a table (profiles, L + 1) a column.
void AddProfiles(const nb::dict& block, std::vector<SplitProfile>* profiles) {
  const auto names = nb::cast<std::vector<std::string>>(block["name"]);
  const std::size_t first = profiles->size();
  profiles->resize(first + names.size());
  for (std::size_t i = 0; i < names.size(); ++i) (*profiles)[first + i].name = names[i];
  for (const auto& [name, member] : kProfileColumns) {
    const auto table = nb::cast<Table>(block[nb::str(name.data())]);
    if (table.shape(0) != names.size()) RaiseBadInput(std::string(name), "has a wrong shape");
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::vector<double>& row = (*profiles)[first + i].*member;
      row.resize(table.shape(1));
      for (std::size_t k = 0; k < row.size(); ++k) row[k] = table(i, k);
    }
  }
}

template <class Node>
void AssignTexts(const nb::dict& changes,
                 const char* key,
                 std::string Node::*member,
                 std::vector<Node>* nodes) {
  if (!changes.contains(key)) return;
  const auto texts = nb::cast<std::vector<std::string>>(changes[key]);
  if (texts.size() != nodes->size()) RaiseBadInput(key, "has a wrong length");
  for (std::size_t i = 0; i < nodes->size(); ++i) (*nodes)[i].*member = texts[i];
}

void AssignNodes(const nb::dict& changes, Scenario* scenario) {
  if (changes.contains("users")) {
    Assign(kUserColumns, nb::cast<nb::dict>(changes["users"]), &scenario->users);
  }
  if (changes.contains("servers")) {
    Assign(kServerColumns, nb::cast<nb::dict>(changes["servers"]), &scenario->servers);
  }
  AssignTexts(changes, "user_ids", &User::id, &scenario->users);
  AssignTexts(changes, "user_names", &User::name, &scenario->users);
  AssignTexts(changes, "server_ids", &Server::id, &scenario->servers);
  AssignTexts(changes, "server_names", &Server::name, &scenario->servers);
  if (changes.contains("user_position_m")) {
    AssignPositions(nb::cast<Table>(changes["user_position_m"]), &scenario->users);
  }
  if (changes.contains("server_position_m")) {
    AssignPositions(nb::cast<Table>(changes["server_position_m"]), &scenario->servers);
  }
  if (changes.contains("server_slots")) {
    AssignSlots(nb::cast<Integers>(changes["server_slots"]), &scenario->servers);
  }
}

// `changes` has what python/dashf/scenario.py puts there, of the right types and shapes.
ScenarioPointer Change(Scenario scenario, const nb::dict& changes, bool needs_plan) {
  if (changes.contains("name")) scenario.name = nb::cast<std::string>(changes["name"]);
  if (changes.contains("noise_density_w_per_hz")) {
    scenario.noise_density_w_per_hz = nb::cast<double>(changes["noise_density_w_per_hz"]);
  }
  if (changes.contains("objective")) {
    AssignObjective(nb::cast<nb::dict>(changes["objective"]), &scenario.objective);
  }
  AssignNodes(changes, &scenario);
  if (changes.contains("profiles")) {
    scenario.profiles.clear();
    for (const nb::handle block : nb::cast<nb::list>(changes["profiles"])) {
      AddProfiles(nb::cast<nb::dict>(block), &scenario.profiles);
    }
  }
  if (changes.contains("user_profile")) {
    const auto profile = nb::cast<Integers>(changes["user_profile"]);
    for (std::size_t n = 0; n < scenario.users.size(); ++n) {
      const auto last = static_cast<std::int64_t>(scenario.profiles.size());
      scenario.users[n].profile = static_cast<int>(std::clamp<std::int64_t>(profile(n), -1, last));
    }
  }
  if (changes.contains("gain")) AssignGains(nb::cast<Table>(changes["gain"]), &scenario);
  if (changes.contains("links")) {
    const auto links = nb::cast<nb::tuple>(changes["links"]);
    AssignLinks(nb::cast<Integers>(links[0]),
                nb::cast<Integers>(links[1]),
                nb::cast<Numbers>(links[2]),
                &scenario);
  }
  Expected<void> sound;
  {
    const Unlocked without_lock;
    sound = needs_plan ? Validate(scenario) : ValidateRules(scenario);
  }
  OrRaise(std::move(sound));
  return std::make_shared<HeldScenario>(std::move(scenario), "");
}

ScenarioPointer FromArrays(std::size_t users,
                           std::size_t servers,
                           const nb::dict& columns,
                           bool needs_plan) {
  Scenario scenario;
  scenario.users.resize(users);
  scenario.servers.resize(servers);
  scenario.links.resize(users);
  return Change(std::move(scenario), columns, needs_plan);
}

ScenarioPointer Read(const std::string& path, bool needs_plan) {
  Expected<LoadedScenario> loaded;
  {
    const Unlocked without_lock;
    loaded = ReadScenario(path, needs_plan ? PlanExistence::kRequired : PlanExistence::kUnchecked);
  }
  LoadedScenario sound = OrRaise(std::move(loaded));
  return std::make_shared<HeldScenario>(std::move(sound.scenario), std::move(sound.sha256));
}

// `sha256` is stated where the text is not that of the file it was read from.
ScenarioPointer Parse(const std::string& name,
                      const std::string& text,
                      bool needs_plan,
                      const std::optional<std::string>& sha256) {
  Expected<Scenario> scenario;
  {
    const Unlocked without_lock;
    scenario = ParseScenario(
        name, text, needs_plan ? PlanExistence::kRequired : PlanExistence::kUnchecked);
  }
  return std::make_shared<HeldScenario>(OrRaise(std::move(scenario)),
                                        sha256.value_or(Sha256Hex(text)));
}

Array Gain(HeldScenario& self) {
  const Scenario& scenario = self.scenario();
  const std::size_t servers = scenario.servers.size();
  std::vector<double> gain(scenario.users.size() * servers, 0.0);
  for (std::size_t n = 0; n < scenario.links.size(); ++n) {
    for (const Link& link : scenario.links[n]) {
      gain[n * servers + static_cast<std::size_t>(link.server)] = link.gain;
    }
  }
  return Array(Own(std::move(gain), {scenario.users.size(), servers}));
}

nb::tuple Links(HeldScenario& self) {
  std::vector<std::int64_t> user, server;
  std::vector<double> gain;
  const auto& links = self.scenario().links;
  for (std::size_t n = 0; n < links.size(); ++n) {
    for (const Link& link : links[n]) {
      user.push_back(static_cast<std::int64_t>(n));
      server.push_back(link.server);
      gain.push_back(link.gain);
    }
  }
  const std::size_t count = gain.size();
  return nb::make_tuple(Own(std::move(user), {count}),
                        Own(std::move(server), {count}),
                        Own(std::move(gain), {count}));
}

Array ProfileTable(HeldScenario& self, std::string_view name) {
  ProfileColumn member = nullptr;
  for (const auto& [known, column] : kProfileColumns) {
    if (known == name) member = column;
  }
  if (member == nullptr) RaiseBadInput(std::string(name), "is no column of a split profile");
  const auto& profiles = self.scenario().profiles;
  std::size_t splits = 0;
  for (const SplitProfile& profile : profiles) splits = std::max(splits, (profile.*member).size());
  std::vector<double> table(profiles.size() * splits, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    std::ranges::copy(profiles[i].*member, table.begin() + static_cast<std::ptrdiff_t>(i * splits));
  }
  return Array(Own(std::move(table), {profiles.size(), splits}));
}

nb::dict ObjectiveOf(HeldScenario& self) {
  const Objective& objective = self.scenario().objective;
  nb::dict values;
  values["delay"] = objective.delay == DelayMode::kSum ? "sum" : "makespan";
  values["delay_weight_per_s"] = objective.delay_weight_per_s;
  values["energy_weight_per_j"] = objective.energy_weight_per_j;
  values["score_scale"] = objective.score_scale;
  values["score_gain"] = objective.score_gain;
  values["all_local_allowed"] = objective.all_local_allowed;
  return values;
}

std::vector<std::string> ConflictSentences(HeldScenario& self) {
  const Scenario& scenario = self.scenario();
  const Conflicts conflicts = FindConflicts(scenario);
  std::vector<std::string> sentences;
  for (const auto& conflict : conflicts.splits) sentences.push_back(Describe(scenario, conflict));
  for (const auto& short_of : conflicts.shortages)
    sentences.push_back(Describe(scenario, short_of));
  if (conflicts.costs_nothing) sentences.push_back(DescribeFree());
  if (!conflicts.users_without_slot.empty()) {
    sentences.push_back(DescribeMissingSlots(scenario, conflicts));
  }
  return sentences;
}

std::vector<std::string> DoubtSentences(HeldScenario& self) {
  std::vector<std::string> sentences;
  for (const Doubt& doubt : FindDoubts(self.scenario())) {
    sentences.push_back(doubt.where + ": " + doubt.message);
  }
  return sentences;
}

template <class Node>
std::vector<std::string> Texts(const std::vector<Node>& nodes, std::string Node::*member) {
  std::vector<std::string> texts;
  for (const Node& node : nodes) texts.push_back(node.*member);
  return texts;
}

void BindColumns(nb::class_<HeldScenario>& type) {
  type.def("user_column",
           [](HeldScenario& self, std::string_view name) {
             return NodeColumn(kUserColumns, self.scenario().users, name, nb::find(self));
           })
      .def("server_column",
           [](HeldScenario& self, std::string_view name) {
             return NodeColumn(kServerColumns, self.scenario().servers, name, nb::find(self));
           })
      .def_prop_ro("user_position_m",
                   [](HeldScenario& self) {
                     const auto& users = self.scenario().users;
                     return View(users, &users.front().position_m.x_m, nb::find(self), 2);
                   })
      .def_prop_ro("server_position_m",
                   [](HeldScenario& self) {
                     const auto& servers = self.scenario().servers;
                     return View(servers, &servers.front().position_m.x_m, nb::find(self), 2);
                   })
      .def_prop_ro("user_profile",
                   [](HeldScenario& self) {
                     const auto& users = self.scenario().users;
                     return View(users, &users.front().profile, nb::find(self));
                   })
      .def_prop_ro(
          "server_slots",
          [](HeldScenario& self) {
            std::vector<std::int64_t> slots;
            for (const Server& server : self.scenario().servers) {
              slots.push_back(server.slots.value_or(kNoSlotLimit));
            }
            const std::size_t count = slots.size();
            return Own(std::move(slots), {count});
          },
          nb::rv_policy::automatic);
}

}  // namespace

void BindScenario(nb::module_& module) {
  nb::class_<HeldScenario> type(module, "Scenario", "A scenario that never changes.");
  BindColumns(type);
  type.def_prop_ro("name", [](HeldScenario& self) { return self.scenario().name; })
      .def_prop_ro("users", [](HeldScenario& self) { return self.scenario().users.size(); })
      .def_prop_ro("servers", [](HeldScenario& self) { return self.scenario().servers.size(); })
      .def_prop_ro("noise_density_w_per_hz",
                   [](HeldScenario& self) { return self.scenario().noise_density_w_per_hz; })
      .def_prop_ro("objective", ObjectiveOf)
      .def_prop_ro("user_ids",
                   [](HeldScenario& self) { return Texts(self.scenario().users, &User::id); })
      .def_prop_ro("user_names",
                   [](HeldScenario& self) { return Texts(self.scenario().users, &User::name); })
      .def_prop_ro("server_ids",
                   [](HeldScenario& self) { return Texts(self.scenario().servers, &Server::id); })
      .def_prop_ro("server_names",
                   [](HeldScenario& self) { return Texts(self.scenario().servers, &Server::name); })
      .def_prop_ro(
          "profile_names",
          [](HeldScenario& self) { return Texts(self.scenario().profiles, &SplitProfile::name); })
      .def("profile_table", ProfileTable)
      .def_prop_ro("gain", Gain, nb::rv_policy::automatic)
      .def_prop_ro("links", Links)
      .def_prop_ro("sha256", [](HeldScenario& self) { return self.loaded().sha256; })
      .def("conflicts", ConflictSentences)
      .def("doubts", DoubtSentences)
      .def("replace",
           [](HeldScenario& self, const nb::dict& changes, bool needs_plan) {
             return Change(self.scenario(), changes, needs_plan);
           })
      .def(
          "to_json",
          [](HeldScenario& self) { return WriteScenario(self.scenario()); },
          nb::call_guard<Unlocked>());
  module.def("scenario_from_arrays", FromArrays);
  module.def("read_scenario", Read);
  module.def("parse_scenario", Parse);
}

}  // namespace dashf::python
