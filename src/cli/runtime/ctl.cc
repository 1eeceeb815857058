// dashf ctl: an operator's verbs on a coordinator that runs.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/runtime/ctl_tables.h"
#include "cli/runtime/node_name.h"
#include "cli/verbs.h"
#include "runtime/back_off.h"
#include "runtime/identity.h"
#include "runtime/operator_client.h"

namespace dashf::cli {
namespace {

using Json = nlohmann::ordered_json;
using runtime::OperatorClient;
using runtime::OperatorConfig;
using runtime::Role;
using runtime::Steering;

constexpr std::uint32_t kLinesMax = 4096;  // Of its events that a coordinator keeps.

struct CtlFlags {
  std::string config, node, reason;
  std::uint32_t round = 0, last = 20, lines = 100;
  bool json = false, follow = false, now = false;
};
using Flags = std::shared_ptr<CtlFlags>;

void Print(const OperatorConfig& config, Json members) {
  Json document = {{"schema", "dashf.ctl/1"}, {"fleet", config.fleet}};
  document.update(members);
  fmt::print("{}", DumpRows(document));
}

// Once, however often it is connected.
void WarnOfKey(const OperatorConfig& config) {
  static bool warned = false;
  const auto exposed = runtime::ExposedKey(config.tls.key);
  if (exposed && !std::exchange(warned, true)) fmt::print(stderr, "warning: {}\n", *exposed);
}

// Reads the operator's file, connects, and asks; the rest prints.
template <class Ask>
Expected<int> With(const CtlFlags& flags, const Ask& ask) {
  const auto config = runtime::ReadOperatorConfig(flags.config);
  if (!config) return tl::unexpected(config.error());
  WarnOfKey(*config);
  auto client = OperatorClient::Connect(*config);
  if (!client) return tl::unexpected(client.error());
  const Expected<void> done = ask(*client, *config);
  if (!done) return tl::unexpected(done.error());
  return kExitOk;
}

Expected<int> Status(const CtlFlags& flags) {
  return With(flags, [&](OperatorClient& client, const OperatorConfig& config) -> Expected<void> {
    const auto status = client.Status();
    if (!status) return tl::unexpected(status.error());
    flags.json ? Print(config, *status) : PrintStatus(config.fleet, *status);
    return {};
  });
}

Expected<int> Nodes(const CtlFlags& flags) {
  return With(flags, [&](OperatorClient& client, const OperatorConfig& config) -> Expected<void> {
    const auto rows = client.Nodes();
    if (!rows) return tl::unexpected(rows.error());
    flags.json ? Print(config, {{"nodes", *rows}}) : PrintNodes(*rows);
    return {};
  });
}

Expected<int> Rounds(const CtlFlags& flags) {
  return With(flags, [&](OperatorClient& client, const OperatorConfig& config) -> Expected<void> {
    const auto rows = flags.round > 0 ? client.Round(flags.round) : client.Rounds(flags.last);
    if (!rows) return tl::unexpected(rows.error());
    if (flags.round > 0) {
      flags.json ? Print(config, {{"round", flags.round}, {"users", *rows}}) : PrintParts(*rows);
    } else {
      flags.json ? Print(config, {{"rounds", *rows}}) : PrintRounds(*rows);
    }
    return {};
  });
}

// With the name that was meant, if the fleet has none such.
Error Explained(const Error& error, const std::string& node, OperatorClient* client) {
  if (error.kind != ErrorKind::kBadInput || node.empty()) return error;
  const auto rows = client->Nodes();
  if (!rows) return error;
  std::vector<std::string> names;
  for (const Json& row : *rows) {
    if (row.contains("node") && row.at("node").is_string()) names.push_back(row.at("node"));
  }
  if (std::find(names.begin(), names.end(), node) != names.end()) return error;
  return {error.kind, error.where, error.message + MeantInstead(Nearest(node, names))};
}

Expected<int> Steer(Steering what, const CtlFlags& flags) {
  if (!IsUtf8(flags.reason)) return Fail(ErrorKind::kUsage, "--reason", "must be UTF-8");
  if (!flags.node.empty()) {
    const auto node = NodeNamed(flags.node, {Role::kServer, Role::kUser});
    if (!node) return tl::unexpected(node.error());
  }
  return With(flags, [&](OperatorClient& client, const OperatorConfig& config) -> Expected<void> {
    const auto steered = client.Steer(what, flags.node, flags.reason);
    if (!steered) return tl::unexpected(Explained(steered.error(), flags.node, &client));
    if (flags.json) {
      Print(config, {{"changed", steered->changed}, {"said", steered->said}});
    } else {
      fmt::print("{}\n", Printable(steered->said));
    }
    return {};
  });
}

// Shows events, and after a break what came since.
class Follower {
 public:
  explicit Follower(bool json) : json_(json) {}

  // The next lines are of a call that begins with what may have been shown.
  void BeginAnew() { skipping_ = !shown_.empty(); }
  // Whether stdout takes it.
  bool Visit(const std::string& line) {
    const Json event = Json::parse(line, nullptr, false);
    const auto time = event.is_object() ? event.find("time_s") : event.end();
    const double at_s =
        event.is_object() && time != event.end() && time->is_number() ? time->get<double>() : 0.0;
    const bool was_shown = at_s < at_s_ || (at_s == at_s_ && shown_.contains(line));
    if (skipping_ && was_shown) return true;
    skipping_ = false;
    if (at_s != at_s_) shown_.clear();
    at_s_ = at_s;
    shown_.insert(line);
    if (json_) {
      fmt::print("{}\n", Printable(line));
    } else {
      PrintEvent(line);
    }
    return std::fflush(stdout) == 0;
  }

 private:
  const bool json_;
  bool skipping_ = false;
  double at_s_ = 0.0;            // Of the last event, and
  std::set<std::string> shown_;  // what was shown of that instant.
};

// Ends with the fleet, or with Ctrl-C: a coordinator that is away is waited for.
Expected<int> Logs(const CtlFlags& flags) {
  if (!flags.node.empty()) {
    const auto node =
        NodeNamed(flags.node, {Role::kCoordinator, Role::kServer, Role::kUser, Role::kOperator});
    if (!node) return tl::unexpected(node.error());
  }
  Follower follower(flags.json);
  runtime::BackOff pause;
  for (bool begun = false, said = false;;) {
    bool connected = false;
    const auto done = With(flags, [&](OperatorClient& client, const OperatorConfig&) {
      connected = begun = true;
      follower.BeginAnew();
      const std::uint32_t lines = said ? kLinesMax : flags.lines;
      Expected<void> shown =
          client.Logs(flags.node, lines, flags.follow, [&](const std::string& line) {
            return follower.Visit(line);
          });
      if (!shown) shown = tl::unexpected(Explained(shown.error(), flags.node, &client));
      return shown;
    });
    if (done && flags.follow && std::ferror(stdout) == 0) {
      fmt::print(stderr, "the fleet has ended\n");
    }
    if (done || !flags.follow || !begun || done.error().kind != ErrorKind::kIo) return done;
    if (connected) {
      pause.Reset();
      fmt::print(stderr,
                 "the coordinator is away, trying again: {}\n",
                 PrintableLine(done.error().Text()));
    }
    said = true;
    std::this_thread::sleep_for(pause.Next());
  }
}

Command AddOne(Command ctl,
               Run& run,
               const char* name,
               const char* summary,
               const char* examples,
               const Flags& flags,
               const std::function<Expected<int>(const CtlFlags&)>& go) {
  Command verb = ctl.add_subcommand(name, summary);
  verb.add_option("--config",
                  flags->config,
                  "The operator's folder, or its operator.json [in this folder or below it]");
  verb.add_flag("--json", flags->json, "Print JSON");
  verb.footer(std::string("Examples:\n") + examples);
  verb.callback([flags, go, &run] { run = [flags, go] { return go(*flags); }; });
  return verb;
}

void AddReading(Command ctl, Run& run, const Flags& flags) {
  AddOne(ctl,
         run,
         "status",
         "What the fleet does, whom it waits for, and what came of the last round",
         "  dashf ctl status\n  dashf ctl status --config /home/ada/operator-ada --json",
         flags,
         Status);
  AddOne(ctl,
         run,
         "nodes",
         "Every node: its state, last sign of life, process and work",
         "  dashf ctl nodes",
         flags,
         Nodes);
  Command rounds = AddOne(ctl,
                          run,
                          "rounds",
                          "The last rounds, or one round's users with the reason of each",
                          "  dashf ctl rounds --last 5\n  dashf ctl rounds 12 --json",
                          flags,
                          Rounds);
  rounds.add_option("N", flags->round, "One round's number").check(Range(1U, 4294967295U));
  rounds.add_option("--last", flags->last, "How many, at most 1000")
      .capture_default_str()
      .check(Range(1, 1000));
  Command logs = AddOne(ctl,
                        run,
                        "logs",
                        "The coordinator's latest events",
                        "  dashf ctl logs --follow\n  dashf ctl logs user/u3 --lines 20",
                        flags,
                        Logs);
  logs.add_option("NODE", flags->node, "Only what is about server/ID, user/ID or operator/ID");
  logs.add_option("--lines", flags->lines, "How many of those that there are; it keeps 4096")
      .capture_default_str()
      .check(Range(0U, kLinesMax));
  logs.add_flag(
      "--follow",
      flags->follow,
      "Go on with what happens until the fleet ends, or Ctrl-C; a coordinator that is away "
      "is waited for");
}

void AddSteering(Command ctl, Run& run, const Flags& flags) {
  const auto steer = [](Steering what) {
    return [what](const CtlFlags& given) { return Steer(what, given); };
  };
  const auto about_node =
      [&](Steering what, const char* name, const char* summary, const char* examples) {
        Command verb = AddOne(ctl, run, name, summary, examples, flags, steer(what));
        verb.add_option("NODE", flags->node, "server/ID or user/ID").required();
        return verb;
      };
  AddOne(ctl,
         run,
         "start",
         "Ask for a round: now, or when the one that runs has ended",
         "  dashf ctl start",
         flags,
         steer(Steering::kStart));
  about_node(Steering::kDrain,
             "drain",
             "Let a node end what it is at, and give it nothing further",
             "  dashf ctl drain server/s0");
  Command exclude = about_node(Steering::kExclude,
                               "exclude",
                               "Take a node out at once",
                               "  dashf ctl exclude user/u3 --reason \"its disk fails\"");
  exclude.add_option("--reason", flags->reason, "A line for the record, at most 256 bytes");
  about_node(Steering::kAdmit,
             "admit",
             "Let a drained or excluded node take part again",
             "  dashf ctl admit server/s0");
  Command stop = AddOne(ctl,
                        run,
                        "stop",
                        "End the fleet after the round that runs: nodes and coordinator leave",
                        "  dashf ctl stop\n  dashf ctl stop --now --reason \"power cut\"",
                        flags,
                        [](const CtlFlags& given) {
                          return Steer(given.now ? Steering::kStopNow : Steering::kStop, given);
                        });
  stop.add_flag("--now", flags->now, "End that round as well: who is not done has failed");
  stop.add_option("--reason", flags->reason, "A line for the record, at most 256 bytes");
}

}  // namespace

void AddCtl(Command app, Run& run) {
  const auto flags = std::make_shared<CtlFlags>();
  Command ctl = AddEngineVerb(app, "ctl");
  ctl.require_subcommand();
  ctl.footer(
      "Under an operator's certificate: dashf kit add operator NAME. docs/deploy.md, \"Operating "
      "the fleet\".\n"
      "Exit 3: the coordinator refuses what was asked; 9: a certificate is refused; 10: nobody "
      "answers.\n"
      "Examples:\n"
      "  dashf ctl status --config demo/operator-ada\n"
      "  dashf ctl start\n"
      "  dashf ctl exclude user/u3 --reason \"its disk fails\"");
  AddReading(ctl, run, flags);
  AddSteering(ctl, run, flags);
}

}  // namespace dashf::cli
