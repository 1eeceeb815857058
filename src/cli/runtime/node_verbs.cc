// dashf coordinator, server, user: one node of a round, told what it is by its configuration file.
// `dashf run` starts them as child processes; a real deployment starts each on its own machine.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/printable.h"
#include "cli/command.h"
#include "cli/runtime/planning.h"
#include "cli/train/data_options.h"
#include "cli/train/start_line.h"
#include "cli/verbs.h"
#include "live/live_page.h"
#include "runtime/coordinator.h"
#include "runtime/folder_lock.h"
#include "runtime/process.h"
#include "runtime/server_node.h"
#include "runtime/user_node.h"

namespace dashf::cli {
namespace {

// A node's folder stands for the file that dashf kit has put there.
std::string NodeFile(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored)
             ? (std::filesystem::path(path) / "node.json").string()
             : path;
}

// Adds `dashf NAME --config FILE`; `go` does the rest.
void AddNodeVerb(Command app,
                 Run& run,
                 const std::string& name,
                 const std::string& footer,
                 Expected<int> (*go)(const std::string& config_path)) {
  const auto config = std::make_shared<std::string>();
  Command verb = AddEngineVerb(app, name);
  verb.add_option("--config", *config, "The node's folder, or its node.json").required();
  verb.footer(footer);
  verb.callback([config, go, &run] { run = [config, go] { return go(NodeFile(*config)); }; });
}

// Its threads are there before the coordinator's.
Expected<std::unique_ptr<live::LivePage>> StartLivePage(const runtime::CoordinatorKit& kit) {
  if (kit.live.listen.empty()) return nullptr;
  auto page = live::LivePage::Start(kit);
  if (!page) return page;
  const bool asks = !kit.live.token_path.empty();
  fmt::print(stderr,
             "live page: {}{}\n",
             (*page)->url(),
             asks ? fmt::format("?token=... as {} has it", kit.live.token_path) : "");
  return page;
}

Expected<int> GoCoordinator(const std::string& path) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(path, runtime::Role::kCoordinator);
  if (!config) return tl::unexpected(config.error());
  const auto lock = runtime::FolderLock::Take(config->folder, Name(config->node));
  if (!lock) return tl::unexpected(lock.error());
  const auto planner = PlannerFor(path, config->coordinator_kit);
  if (!planner) return tl::unexpected(planner.error());
  const auto page = StartLivePage(config->coordinator_kit);
  if (!page) return tl::unexpected(page.error());
  const auto end = runtime::RunCoordinator(
      *config,
      *planner,
      [](const std::string& line) { fmt::print(stderr, "{}\n", line); },
      *page ? &(*page)->watch() : nullptr);
  if (!end) return tl::unexpected(end.error());
  if (end->signal && !config->coordinator_kit.log_path.empty()) return 128 + *end->signal;
  return end->wanted || end->record.Done() ? kExitOk : kExitRoundFailed;
}

// What `dashf run` has said already is not said again by each of the nodes that share its machine.
bool SaysWhatItDoes(const runtime::NodeConfig& config) {
  return config.gate_folder.empty();
}

std::function<void(const llama::Storage&)> StartLineOf(const runtime::NodeConfig& config) {
  if (!SaysWhatItDoes(config)) return [](const llama::Storage&) {};
  return SayStart;
}

// What happens, a line at a time with the node's name.
std::function<void(const std::string&)> LinesOf(const runtime::NodeConfig& config) {
  return [name = Name(config.node)](const std::string& line) {
    fmt::print(stderr, "{}: {}\n", name, PrintableLine(line));  // Peers are quoted.
  };
}

Expected<int> GoServer(const std::string& path) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(path, runtime::Role::kServer);
  if (!config) return tl::unexpected(config.error());
  const auto lock =
      runtime::FolderLock::Take(config->folder, Name(config->node), {config->server.spool_folder});
  if (!lock) return tl::unexpected(lock.error());
  return runtime::RunServer(*config, {StartLineOf(*config), LinesOf(*config)});
}

Expected<int> GoUser(const std::string& path) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(path, runtime::Role::kUser);
  if (!config) return tl::unexpected(config.error());
  const auto lock =
      runtime::FolderLock::Take(config->folder, Name(config->node), {config->user.state_folder});
  if (!lock) return tl::unexpected(lock.error());
  const auto tell = [&config](const std::string& file, const corpus::DataReport& report) {
    if (SaysWhatItDoes(*config)) TellData(file, report);
  };
  return runtime::RunUser(*config, {StartLineOf(*config), tell, LinesOf(*config)});
}

}  // namespace

void AddCoordinator(Command app, Run& run) {
  AddNodeVerb(app,
              run,
              "coordinator",
              "Exit 8: the last round did not finish for every user; 9: a certificate is refused; "
              "128 + N:\n"
              "stopped by signal N, and its log has what it needs to go on.\n"
              "Examples:\n"
              "  dashf coordinator --config demo/coordinator",
              GoCoordinator);
}

void AddServer(Command app, Run& run) {
  AddNodeVerb(app,
              run,
              "server",
              "Examples:\n"
              "  dashf server --config demo/server-s0",
              GoServer);
}

void AddUser(Command app, Run& run) {
  AddNodeVerb(app,
              run,
              "user",
              "Examples:\n"
              "  dashf user --config demo/user-u3",
              GoUser);
}

}  // namespace dashf::cli
