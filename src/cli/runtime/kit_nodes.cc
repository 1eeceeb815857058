#include "cli/runtime/kit_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "cli/numbers.h"
#include "kit/fleet_folder.h"
#include "runtime/address.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using kit::FleetFolder;

// What a device can do; what is not given is the scenario's.
struct DeviceFlags {
  std::optional<double> clock_hz, flop_per_cycle, kappa_w_per_hz3, energy_j_per_flop;
  std::optional<double> tx_power_w, memory_bytes, bandwidth_hz;
};

struct AddFlags {
  std::string id, scenario, model, listen;
  std::vector<std::string> addresses;
  DeviceFlags device;
  std::string profile;
  std::optional<double> tokens, data_bytes;
  std::string data, train = "train.jsonl", test = "test.jsonl";
  std::vector<std::string> labels;
  bool json = false;
};

struct NamedScenario {
  std::string path;
  Scenario scenario;
};

// The scenario that says what devices can do: the one given, or the coordinator's if it has one.
Expected<std::optional<NamedScenario>> ScenarioFor(const AddFlags& flags,
                                                   const runtime::NodeConfig& coordinator) {
  std::string path = flags.scenario;
  if (path.empty()) path = coordinator.coordinator_kit.scenario_path;
  if (flags.scenario.empty() && !fs::exists(path)) return std::nullopt;
  auto loaded = ReadScenario(path);
  if (!loaded) return tl::unexpected(loaded.error());
  return NamedScenario{path, std::move(loaded->scenario)};
}

template <class Device>
Expected<std::optional<Device>> Find(const std::vector<Device>& devices,
                                     const std::string& scenario,
                                     const std::string& what,
                                     const std::string& id) {
  const auto found =
      std::find_if(devices.begin(), devices.end(), [&](const auto& one) { return one.id == id; });
  if (found != devices.end()) return *found;
  return Fail(ErrorKind::kBadInput,
              scenario,
              fmt::format("has no {} {}; a fleet takes further ones with another scenario: "
                          "docs/deploy.md, \"A further user or server\"",
                          what,
                          id));
}

// `value` is the scenario's where there is one; the flag overrides it.
Expected<void> Set(const std::optional<double>& flag,
                   const char* name,
                   bool has_scenario,
                   double* value) {
  if (flag) *value = *flag;
  if (flag || has_scenario) return {};
  return Fail(ErrorKind::kUsage, name, "is needed, for there is no scenario that says it");
}

Expected<void> SetCompute(const DeviceFlags& flags, bool has_scenario, Compute* compute) {
  auto done = Set(flags.clock_hz, "--clock-hz", has_scenario, &compute->clock_hz_max);
  if (done) {
    done = Set(flags.flop_per_cycle, "--flop-per-cycle", has_scenario, &compute->flop_per_cycle);
  }
  if (flags.kappa_w_per_hz3) compute->kappa_w_per_hz3 = *flags.kappa_w_per_hz3;
  if (flags.energy_j_per_flop) compute->energy_j_per_flop = *flags.energy_j_per_flop;
  return done;
}

Expected<void> FillServer(const AddFlags& flags,
                          const std::optional<NamedScenario>& scenario,
                          runtime::ServerKit* kit) {
  const bool known = scenario.has_value();
  if (known) {
    auto found = Find(scenario->scenario.servers, scenario->path, "server", flags.id);
    if (!found) return tl::unexpected(found.error());
    kit->device = std::move(**found);
  }
  auto done = SetCompute(flags.device, known, &kit->device.compute);
  if (done) {
    done = Set(flags.device.tx_power_w, "--tx-power-w", known, &kit->device.tx_power_w_max);
  }
  if (done) {
    done = Set(flags.device.bandwidth_hz, "--bandwidth-hz", known, &kit->device.bandwidth_hz);
  }
  if (!done) return done;
  kit->spool_folder = "spool";
  kit->advertise = flags.addresses;
  for (const std::string& address : flags.addresses) {
    const auto sound = runtime::ParseReachable("--address", address);
    if (!sound) return tl::unexpected(sound.error());
    if (kit->listen.empty()) kit->listen = fmt::format("[::]:{}", sound->port);
  }
  if (!flags.listen.empty()) kit->listen = flags.listen;
  return {};
}

// Measured on one machine and scaled to this user's data, or the scenario's.
Expected<void> SetProfile(const AddFlags& flags,
                          const std::optional<NamedScenario>& scenario,
                          runtime::UserKit* kit) {
  if (flags.profile.empty() && scenario) {
    kit->profile = scenario->scenario.ProfileOf(kit->device);
    return {};
  }
  if (flags.profile.empty() || !flags.tokens || !flags.data_bytes) {
    return Fail(ErrorKind::kUsage,
                "--profile",
                "is needed with --tokens and --data-bytes, for there is no scenario that says it");
  }
  const auto measured = ReadProfile(flags.profile);
  if (!measured) return tl::unexpected(measured.error());
  kit->profile = ScaleProfile(
      *measured, {.tokens = *flags.tokens, .data_bit = 8.0 * *flags.data_bytes}, measured->name);
  return {};
}

Expected<void> FillUser(const AddFlags& flags,
                        const std::optional<NamedScenario>& scenario,
                        runtime::UserKit* kit) {
  const bool known = scenario.has_value();
  if (known) {
    auto found = Find(scenario->scenario.users, scenario->path, "user", flags.id);
    if (!found) return tl::unexpected(found.error());
    kit->device = std::move(**found);
  }
  auto done = SetCompute(flags.device, known, &kit->device.compute);
  if (done) {
    done = Set(flags.device.tx_power_w, "--tx-power-w", known, &kit->device.tx_power_w_max);
  }
  if (done) {
    done = Set(flags.device.memory_bytes, "--memory-bytes", known, &kit->device.memory_bytes_max);
  }
  if (done) done = SetProfile(flags, scenario, kit);
  kit->train_path = flags.train;
  kit->test_path = flags.test;
  kit->labels = flags.labels;
  kit->adapter_folder = "adapter";
  kit->state_folder = "state";
  return done;
}

Expected<void> CopyData(const AddFlags& flags, kit::NewNode* node) {
  if (flags.data.empty()) {
    node->needs = fmt::format(
        "The node reads its samples from {} and {}: put them there.", flags.train, flags.test);
    return {};
  }
  for (const std::string& name : {flags.train, flags.test}) {
    auto text = ReadFile(fs::path(flags.data) / name);
    if (!text) return tl::unexpected(text.error());
    node->files.push_back({name, std::move(*text)});
  }
  return {};
}

Expected<int> Told(const Expected<kit::Issued>& issued, bool json) {
  if (!issued) return tl::unexpected(issued.error());
  const std::string until = kit::DateText(issued->certificate.until);
  if (json) {
    const nlohmann::ordered_json made = {{"node", Name(issued->node)},
                                         {"folder", issued->folder.string()},
                                         {"serial", issued->certificate.serial},
                                         {"until", until}};
    fmt::print("{}\n", made.dump());
  } else {
    fmt::print(
        "{}: {}, certificate until {}\n", issued->folder.string(), Name(issued->node), until);
  }
  return kExitOk;
}

Expected<int> Add(runtime::Role role, const AddFlags& flags, const KitFlags& common) {
  auto fleet = OpenFleet(common);
  if (!fleet) return tl::unexpected(fleet.error());
  const auto coordinator = fleet->Coordinator();
  if (!coordinator) return tl::unexpected(coordinator.error());
  const auto scenario = ScenarioFor(flags, *coordinator);
  if (!scenario) return tl::unexpected(scenario.error());
  kit::NewNode node;
  node.life = common.Life();
  node.target = common.target;
  node.config.node.role = role;
  node.config.node.id = flags.id;
  node.config.model_folder = flags.model;
  Expected<void> filled;
  if (role == runtime::Role::kServer) {
    filled = FillServer(flags, *scenario, &node.config.server);
  } else {
    filled = FillUser(flags, *scenario, &node.config.user);
    if (filled) filled = CopyData(flags, &node);
  }
  if (!filled) return tl::unexpected(filled.error());
  return Told(fleet->Add(node), flags.json);
}

Expected<int> AddOperator(const AddFlags& flags, const KitFlags& common) {
  auto fleet = OpenFleet(common);
  if (!fleet) return tl::unexpected(fleet.error());
  return Told(fleet->AddOperator(flags.id, common.Life()), flags.json);
}

void AddDeviceFlags(Command verb, DeviceFlags* device) {
  verb.add_option("--clock-hz", device->clock_hz, "Its clock, instead of the scenario's")
      .check(FinitePositive());
  verb.add_option("--flop-per-cycle", device->flop_per_cycle, "Its FLOP per cycle")
      .check(FinitePositive());
  verb.add_option("--kappa", device->kappa_w_per_hz3, "Its power over the clock's cube, W/Hz^3")
      .check(FiniteNonNegative());
  verb.add_option("--energy-j-per-flop", device->energy_j_per_flop, "Its energy per FLOP, J")
      .check(FiniteNonNegative());
  verb.add_option("--tx-power-w", device->tx_power_w, "Its transmit power, W")
      .check(FinitePositive());
}

Command AddNode(Command add,
                Run& run,
                const std::shared_ptr<KitFlags>& common,
                const std::shared_ptr<AddFlags>& flags,
                runtime::Role role) {
  const bool server = role == runtime::Role::kServer;
  Command verb = add.add_subcommand(server ? "server" : "user",
                                    server ? "An edge server's folder" : "A user's folder");
  verb.add_option("ID", flags->id, "Its id, as in the scenario").required();
  verb.add_option("--scenario", flags->scenario, "dashf.scenario/1 [the coordinator's]");
  verb.add_option("--model", flags->model, "The base model's path there [the fleet's]")
      .check(PathElsewhere());
  AddDeviceFlags(verb, &flags->device);
  verb.add_flag("--json", flags->json, "Say in JSON what was made");
  AddFleetFlag(verb, common);
  AddDaysFlag(verb, common);
  AddTargetFlags(verb, common);
  verb.callback([=, &run] { run = [=] { return Add(role, *flags, *common); }; });
  return verb;
}

}  // namespace

Expected<FleetFolder> OpenFleet(const KitFlags& flags) {
  auto fleet = FleetFolder::Open(flags.fleet);
  const auto exposed = fleet ? fleet->ExposedAuthority() : std::nullopt;
  if (exposed) fmt::print(stderr, "warning: {}\n", *exposed);
  return fleet;
}

void AddFleetFlag(Command verb, const std::shared_ptr<KitFlags>& flags) {
  verb.add_option("--fleet", flags->fleet, "The fleet's folder").capture_default_str();
}

// systemd's files give blanks, % and quotes a meaning.
Check PathElsewhere() {
  return {
      "PATH", [](const std::string& text) {
        const bool sound =
            text.starts_with('/') && std::all_of(text.begin(), text.end(), [](unsigned char c) {
              return std::isalnum(c) != 0 || c == '/' || c == '.' || c == '_' || c == '-' ||
                     c == '+';
            });
        if (sound) return std::string();
        return fmt::format(
            "must be an absolute path of letters, digits and /._-+ on the node's machine, got {}",
            text);
      }};
}

void AddDaysFlag(Command verb, const std::shared_ptr<KitFlags>& flags) {
  verb.add_option("--days", flags->days, "How long the certificate is valid")
      .capture_default_str()
      .check(Range(1, 3650));
}

void AddTargetFlags(Command verb, const std::shared_ptr<KitFlags>& flags) {
  verb.add_option("--program", flags->target.program, "dashf on the node's machine")
      .capture_default_str()
      .check(PathElsewhere());
  verb.add_option("--target", flags->target.parent, "Where the folder goes on that machine")
      .capture_default_str()
      .check(PathElsewhere());
}

void AddAdd(Command kit, Run& run, const std::shared_ptr<KitFlags>& common) {
  Command add = kit.add_subcommand("add", "Make the folder of a further node, or of an operator");
  add.require_subcommand();
  const auto flags = std::make_shared<AddFlags>();
  Command server = AddNode(add, run, common, flags, runtime::Role::kServer);
  server.add_option("--address", flags->addresses, "HOST:PORT at which users reach it, repeatable")
      .required()
      .repeatable();
  server.add_option("--listen", flags->listen, "HOST:PORT [[::] and the port of --address]");
  server.add_option("--bandwidth-hz", flags->device.bandwidth_hz, "Its bandwidth, Hz")
      .check(FinitePositive());
  server.footer(
      "Examples:\n"
      "  dashf kit add server s0 --address edge1.example.org:7443 --fleet demo\n"
      "  dashf kit add server s1 --address 203.0.113.9:17443 --address [2001:db8::9]:7443\n"
      "    --listen [::]:7443 --fleet demo");
  Command user = AddNode(add, run, common, flags, runtime::Role::kUser);
  user.add_option("--data", flags->data, "A folder whose train and test files are copied");
  user.add_option("--train", flags->train, "Training samples on its machine").capture_default_str();
  user.add_option("--test", flags->test, "Held-out samples on its machine").capture_default_str();
  user.add_option("--label", flags->labels, "A label of a choice task, repeatable").repeatable();
  user.add_option("--memory-bytes", flags->device.memory_bytes, "Its memory for training, bytes")
      .check(FinitePositive());
  user.add_option("--profile", flags->profile, "dashf.profile/1, instead of the scenario's table");
  user.add_option("--tokens", flags->tokens, "Tokens of its training set, for --profile")
      .check(FinitePositive());
  user.add_option("--data-bytes", flags->data_bytes, "Bytes of its training set, for --profile")
      .check(FinitePositive());
  user.footer(
      "Examples:\n"
      "  dashf kit add user u3 --fleet demo\n"
      "  dashf kit add user u4 --data samples/u4 --fleet demo");
  Command person = add.add_subcommand("operator", "A person's, for dashf ctl");
  person.add_option("NAME", flags->id, "1 to 48 letters, digits and hyphens").required();
  person.add_flag("--json", flags->json, "Say in JSON what was made");
  AddFleetFlag(person, common);
  AddDaysFlag(person, common);
  person.footer("Examples:\n  dashf kit add operator ada --fleet demo");
  person.callback([=, &run] { run = [=] { return AddOperator(*flags, *common); }; });
}

}  // namespace dashf::cli
