// dashf kit: a fleet's authority, record and nodes' folders, from the command line.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/json.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/runtime/kit_nodes.h"
#include "cli/runtime/node_name.h"
#include "cli/verbs.h"
#include "kit/fleet_folder.h"
#include "runtime/run_config.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using kit::FleetFolder;

struct InitFlags {
  std::string name, out, listen, live, scenario, profile, model, config, method;
  std::vector<std::string> addresses;
  double gather_s = 600.0;
  std::uint32_t rounds = 0;
  bool json = false;
};

struct RenewFlags {
  std::vector<std::string> nodes;
  bool all = false, new_key = false;
  bool json = false;
};

Json ToJson(const kit::Issued& issued) {
  return {{"node", Name(issued.node)},
          {"folder", issued.folder.string()},
          {"serial", issued.certificate.serial},
          {"until", kit::DateText(issued.certificate.until)}};
}

void Tell(const kit::Issued& issued, const char* what, bool json) {
  if (json) {
    fmt::print("{}\n", ToJson(issued).dump());
  } else {
    fmt::print("{}: {}, certificate until {}\n",
               issued.folder.string(),
               what,
               kit::DateText(issued.certificate.until));
  }
}

// Plans count the work that the profile was measured with.
void NameOtherEpochs(const InitFlags& flags,
                     const runtime::TrainingSettings& training,
                     const MeasuredProfile& profile) {
  if (training.epochs_user == profile.epochs && training.epochs_server == profile.epochs &&
      training.epochs_joint == profile.joint_epochs) {
    return;
  }
  fmt::print(stderr,
             "warning: {}: nodes train {} epochs at users, {} at servers and {} joint ones, but {} "
             "was measured with {:g}, {:g} and {:g}, which is the work that plans count: dashf "
             "profile --epochs {} --joint-epochs {}\n",
             flags.config.empty() ? "without --config" : flags.config,
             training.epochs_user,
             training.epochs_server,
             training.epochs_joint,
             flags.profile,
             profile.epochs,
             profile.epochs,
             profile.joint_epochs,
             training.epochs_server,
             training.epochs_joint);
}

Expected<int> Init(const InitFlags& flags, const KitFlags& common) {
  kit::FleetPlan plan;
  plan.name = flags.name;
  plan.addresses = flags.addresses;
  plan.listen = flags.listen;
  plan.live = flags.live;
  plan.gather_s = flags.gather_s;
  plan.rounds = flags.rounds;
  plan.life = common.Life();
  plan.target = common.target;
  if (!flags.config.empty()) {
    const auto config = runtime::ReadRunConfig(flags.config);
    if (!config) return tl::unexpected(config.error());
    plan.training = config->training;
    plan.method = config->plan.method;
    plan.handover_penalty = config->plan.handover_penalty;
    plan.learn = config->plan.learn.value_or(plan.learn);
    plan.model = config->model;
  }
  if (!flags.model.empty()) plan.model = flags.model;
  if (!flags.method.empty()) plan.method = flags.method;
  if (plan.model.empty()) {
    return Fail(ErrorKind::kUsage,
                "--model",
                "is needed: the base model's absolute path on the nodes' machines (or as model in "
                "--config's file)");
  }
  if (!plan.model.starts_with('/')) {
    return Fail(ErrorKind::kUsage,
                "--model",
                fmt::format("must be the model's absolute path on the nodes' machines, got '{}'",
                            plan.model));
  }
  const auto profile = ReadProfile(flags.profile);
  if (!profile) return tl::unexpected(profile.error());
  NameOtherEpochs(flags, plan.training, *profile);
  plan.machine_flop_per_s = profile->machine.clock_hz * profile->machine.flop_per_cycle;
  if (!flags.scenario.empty()) {
    const auto loaded = ReadScenario(flags.scenario);
    if (!loaded) return tl::unexpected(loaded.error());
    plan.scenario = WriteScenario(loaded->scenario);
  }
  const auto made = FleetFolder::Init(flags.out.empty() ? flags.name : flags.out, plan);
  if (!made) return tl::unexpected(made.error());
  Tell(*made, "coordinator", flags.json);
  if (flags.scenario.empty()) {
    fmt::print(stderr,
               "note: without --scenario the coordinator cannot start yet: put the scenario of all "
               "users and servers (dashf new) there as {}\n",
               (made->folder / "given.json").string());
  }
  return kExitOk;
}

using runtime::Role;
constexpr std::initializer_list<Role> kMembers = {
    Role::kCoordinator, Role::kServer, Role::kUser, Role::kOperator};

Expected<int> Renew(const RenewFlags& flags, const KitFlags& common) {
  auto fleet = OpenFleet(common);
  if (!fleet) return tl::unexpected(fleet.error());
  std::vector<runtime::NodeId> nodes;
  for (const std::string& name : flags.nodes) {
    const auto node = NodeNamed(name, kMembers);
    if (!node) return tl::unexpected(node.error());
    nodes.push_back(*node);
  }
  if (flags.all == !nodes.empty()) {
    return Fail(ErrorKind::kUsage, "NODE", "name nodes, or --all");
  }
  if (flags.all) {
    for (const kit::Member& member : fleet->record().members) {
      if (member.Trusted()) nodes.push_back(member.node);
    }
  }
  for (const runtime::NodeId& node : nodes) {
    const auto issued = fleet->Renew(node, flags.new_key, common.Life());
    if (!issued) return tl::unexpected(issued.error());
    Tell(*issued, flags.new_key ? "node.pem and node.key are new" : "node.pem is new", flags.json);
  }
  return kExitOk;
}

Expected<int> Revoke(const RenewFlags& flags, const KitFlags& common) {
  auto fleet = OpenFleet(common);
  if (!fleet) return tl::unexpected(fleet.error());
  std::vector<std::string> before;
  for (const std::string& name : flags.nodes) {
    const auto node = NodeNamed(name, kMembers);
    if (!node) return tl::unexpected(node.error());
    const auto changed = fleet->Revoke(*node);
    if (!changed) return tl::unexpected(changed.error());
    if (!*changed) before.push_back(name);
  }
  const std::string list = (fleet->FolderOf(runtime::CoordinatorNode()) / "revoked.pem").string();
  if (flags.json) {
    const Json said = {{"revoked", flags.nodes}, {"were_revoked_before", before}, {"list", list}};
    fmt::print("{}\n", said.dump());
    return kExitOk;
  }
  for (const std::string& name : before) fmt::print("{} was revoked before\n", name);
  fmt::print("{} is new: copy it over the coordinator's, which reads it while it runs\n", list);
  return kExitOk;
}

const char* StateOf(const kit::ListedNode& node) {
  if (node.certificate.revoked) return "revoked";
  const auto left = node.certificate.until - std::chrono::system_clock::now();
  if (left <= left.zero()) return "expired";
  return left < std::chrono::hours(24 * 30) ? "ends soon" : "valid";
}

Expected<int> List(bool json, const KitFlags& common) {
  const auto fleet = OpenFleet(common);
  if (!fleet) return tl::unexpected(fleet.error());
  Json rows = Json::array();
  bool sound = true;
  if (!json) fmt::print("{:<24} {:<10} {:<21} {}\n", "node", "state", "until", "addresses");
  for (const kit::ListedNode& node : fleet->List()) {
    // A revoked node's folder is no longer anybody's.
    const bool faulty = !node.fault.empty() && !node.certificate.revoked;
    sound = sound && !faulty;
    if (faulty) fmt::print(stderr, "{}\n", node.fault);
    rows.push_back({{"node", Name(node.node)},
                    {"state", StateOf(node)},
                    {"serial", node.certificate.serial},
                    {"until", kit::DateText(node.certificate.until)},
                    {"addresses", node.addresses},
                    {"fault", faulty ? Json(node.fault) : Json()}});
    if (json) continue;
    fmt::print("{:<24} {:<10} {:<21} {}\n",
               Name(node.node),
               StateOf(node),
               kit::DateText(node.certificate.until),
               fmt::join(node.addresses, " "));
  }
  if (json) {
    fmt::print("{}", DumpRows({{"name", fleet->record().name}, {"nodes", std::move(rows)}}));
  }
  if (sound) return kExitOk;
  return Fail(ErrorKind::kBadInput, common.fleet, "some folders are not as they were made");
}

void AddInit(Command kit, Run& run, const std::shared_ptr<KitFlags>& common) {
  const auto flags = std::make_shared<InitFlags>();
  Command verb = kit.add_subcommand("init", "Make a fleet's authority and its coordinator");
  verb.add_option("--name", flags->name, "The fleet's name").required();
  verb.add_option("--address", flags->addresses, "HOST:PORT at which nodes reach the coordinator")
      .required()
      .repeatable();
  verb.add_option("--profile", flags->profile, "dashf.profile/1 that the scenario is made of")
      .required();
  verb.add_option("--scenario",
                  flags->scenario,
                  "dashf.scenario/1 of all users and servers [to be put there later]");
  verb.add_option(
          "--model", flags->model, "The base model's path on each node's machine [--config's]")
      .check(PathElsewhere());
  verb.add_option("--config", flags->config, "TOML whose training settings and method are taken");
  verb.add_option("--method", flags->method, "Planning method [prices]");
  verb.add_option("--listen", flags->listen, "HOST:PORT [[::] and the port of --address]");
  verb.add_option("--live",
                  flags->live,
                  "HOST:PORT of a page that shows the fleet, and its metrics [none]; with a token "
                  "of its own unless HOST is a loopback address");
  verb.add_option("--rounds", flags->rounds, "Rounds, one after the other; 0: without end")
      .capture_default_str();
  verb.add_option("--gather-s", flags->gather_s, "How long a round waits for absent nodes")
      .capture_default_str()
      .check(FinitePositive());
  verb.add_option("--out", flags->out, "The fleet's folder [its name]");
  verb.add_flag("--json", flags->json, "Say in JSON what was made");
  AddDaysFlag(verb, common);
  AddTargetFlags(verb, common);
  verb.footer(
      "Examples:\n"
      "  dashf kit init --name demo --address coord.example.org:7440 --profile profile.json\n"
      "    --scenario scenario.json --model /srv/models/base");
  verb.callback([flags, common, &run] { run = [flags, common] { return Init(*flags, *common); }; });
}

void AddRenew(Command kit, Run& run, const std::shared_ptr<KitFlags>& common) {
  const auto flags = std::make_shared<RenewFlags>();
  Command verb = kit.add_subcommand("renew", "Issue further certificates");
  verb.add_option("NODE", flags->nodes, "coordinator, server/ID, user/ID or operator/ID");
  verb.add_flag("--all", flags->all, "Every node that is not revoked");
  verb.add_flag("--new-key", flags->new_key, "For a new key; without it only node.pem changes");
  verb.add_flag("--json", flags->json, "Say in JSON what was made, a line per node");
  AddFleetFlag(verb, common);
  AddDaysFlag(verb, common);
  verb.footer(
      "Copy the new node.pem over the node's: it is taken while the node runs.\n"
      "Examples:\n"
      "  dashf kit renew server/s0 --fleet demo\n"
      "  dashf kit renew --all --fleet demo");
  verb.callback(
      [flags, common, &run] { run = [flags, common] { return Renew(*flags, *common); }; });
}

void AddRevoke(Command kit, Run& run, const std::shared_ptr<KitFlags>& common) {
  const auto flags = std::make_shared<RenewFlags>();
  Command verb = kit.add_subcommand("revoke", "Let the coordinator refuse nodes from now on");
  verb.add_option("NODE", flags->nodes, "server/ID, user/ID or operator/ID").required();
  verb.add_flag("--json", flags->json, "Say in JSON what was revoked");
  AddFleetFlag(verb, common);
  verb.footer("Examples:\n  dashf kit revoke user/u3 --fleet demo");
  verb.callback(
      [flags, common, &run] { run = [flags, common] { return Revoke(*flags, *common); }; });
}

void AddList(Command kit, Run& run, const std::shared_ptr<KitFlags>& common) {
  const auto json = std::make_shared<bool>(false);
  Command verb =
      kit.add_subcommand("list", "Nodes, certificates, and folders that are not as they were made");
  verb.add_flag("--json", *json, "Print JSON");
  AddFleetFlag(verb, common);
  verb.footer("Exit 3: a folder is not as it was made.\nExamples:\n  dashf kit list --fleet demo");
  verb.callback([json, common, &run] { run = [json, common] { return List(*json, *common); }; });
}

}  // namespace

void AddKit(Command app, Run& run) {
  const auto common = std::make_shared<KitFlags>();
  Command kit = AddEngineVerb(app, "kit");
  kit.require_subcommand();
  kit.footer(
      "docs/deploy.md leads from nothing to three hosts.\n"
      "Examples:\n"
      "  dashf kit init --name demo --address coord.example.org:7440 --profile profile.json\n"
      "    --scenario scenario.json --model /srv/models/base\n"
      "  dashf kit add server s0 --address edge1.example.org:7443 --fleet demo\n"
      "  dashf kit add user u3 --fleet demo\n"
      "  dashf kit add operator ada --fleet demo\n"
      "  dashf kit list --fleet demo");
  AddInit(kit, run, common);
  AddAdd(kit, run, common);
  AddRenew(kit, run, common);
  AddRevoke(kit, run, common);
  AddList(kit, run, common);
}

}  // namespace dashf::cli
