// dashf coordinator, server, user: one node of a round, told what it is by its configuration file.
// `dashf run` starts them as child processes; a real deployment starts each on its own machine.
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/runtime/planning.h"
#include "cli/train/data_options.h"
#include "cli/train/start_line.h"
#include "cli/verbs.h"
#include "live/live_page.h"
#include "runtime/coordinator.h"
#include "runtime/folder_lock.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/server_node.h"
#include "runtime/user_node.h"

namespace dashf::cli {
namespace {

using runtime::LogLevel;

// A node's folder stands for the file that dashf kit has put there.
std::string NodeFile(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored)
             ? (std::filesystem::path(path) / "node.json").string()
             : path;
}

// How a node is called, and what says what happens there.
struct Call {
  std::string path;
  runtime::Log log;  // By the verb's name, until the node's is known.
};

void NameLog(const runtime::NodeId& node, Call* call) {
  call->log = call->log.Named(Name(node));
  TakeGrpcLines(call->log);
}

// What ends a node is the last that its log says.
Expected<int> Told(const runtime::Log& log, const Expected<int>& end) {
  if (end) return end;
  const Error& error = end.error();
  const int code = static_cast<int>(error.kind);
  log.Write(LogLevel::kError,
            "process",
            error.Text(),
            {{"where", error.where}, {"reason", error.message}, {"exit_code", code}});
  return code;
}

// Adds `dashf NAME --config FILE`; `go` does the rest.
void AddNodeVerb(Command app,
                 Run& run,
                 const std::string& name,
                 const std::string& footer,
                 Expected<int> (*go)(Call* call)) {
  struct Flags {
    std::string config, format = "lines", level = "info";
  };
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, name);
  verb.add_option("--config", flags->config, "The node's folder, or its node.json").required();
  verb.add_option(
          "--log-format", flags->format, "How it says what happens, on stderr: lines or json")
      .check(IsMember({"lines", "json"}))
      .capture_default_str();
  verb.add_option(
          "--log-level", flags->level, "The least that it says: debug, info, warning or error")
      .check(IsMember({"debug", "info", "warning", "error"}))
      .capture_default_str();
  verb.footer(footer);
  verb.callback([flags, go, name, &run] {
    run = [flags, go, name]() -> Expected<int> {
      std::signal(SIGPIPE, SIG_IGN);  // Whoever reads what a node says may go.
      runtime::LogOptions options;
      if (flags->format == "json") options.format = runtime::LogFormat::kJson;
      for (const auto level : {LogLevel::kDebug, LogLevel::kWarning, LogLevel::kError}) {
        if (runtime::Name(level) == flags->level) options.level = level;
      }
      Call call{NodeFile(flags->config), {options, name}};
      const auto end = go(&call);
      return Told(call.log, end);
    };
  });
}

// Its threads are there before the coordinator's.
Expected<std::unique_ptr<live::LivePage>> StartLivePage(const runtime::CoordinatorKit& kit,
                                                        const runtime::Log& log) {
  if (kit.live.listen.empty()) return nullptr;
  auto page = live::LivePage::Start(kit);
  if (!page) return page;
  const bool asks = !kit.live.token_path.empty();
  log.Info("live",
           fmt::format("live page: {}{}",
                       (*page)->url(),
                       asks ? fmt::format("?token=... as {} has it", kit.live.token_path) : ""),
           {{"url", (*page)->url()}});
  return page;
}

Expected<int> GoCoordinator(Call* call) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(call->path, runtime::Role::kCoordinator);
  if (!config) return tl::unexpected(config.error());
  NameLog(config->node, call);
  const auto lock = runtime::FolderLock::Take(config->folder, Name(config->node));
  if (!lock) return tl::unexpected(lock.error());
  const auto planner = PlannerFor(call->path, config->coordinator_kit);
  if (!planner) return tl::unexpected(planner.error());
  const auto page = StartLivePage(config->coordinator_kit, call->log);
  if (!page) return tl::unexpected(page.error());
  const auto end =
      runtime::RunCoordinator(*config, *planner, call->log, *page ? &(*page)->watch() : nullptr);
  if (!end) return tl::unexpected(end.error());
  if (end->signal && !config->coordinator_kit.log_path.empty()) return 128 + *end->signal;
  return end->wanted || end->record.Done() ? kExitOk : kExitRoundFailed;
}

// What `dashf run` has said already is not said again by each of the nodes that share its machine.
bool SaysWhatItDoes(const runtime::NodeConfig& config) {
  return config.gate_folder.empty();
}

std::function<void(const llama::Storage&)> StartLineOf(const runtime::NodeConfig& config,
                                                       const runtime::Log& log) {
  if (!SaysWhatItDoes(config)) return [](const llama::Storage&) {};
  return [log](const llama::Storage& storage) {
    const train::Products products = train::MeasureProducts();
    log.Info("start", StartText(products, storage), ProductsJson(products));
    const std::string slow = train::ProductsWarning(products);
    if (!slow.empty()) log.Warning("start", slow);
  };
}

Expected<int> GoServer(Call* call) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(call->path, runtime::Role::kServer);
  if (!config) return tl::unexpected(config.error());
  NameLog(config->node, call);
  const auto lock =
      runtime::FolderLock::Take(config->folder, Name(config->node), {config->server.spool_folder});
  if (!lock) return tl::unexpected(lock.error());
  return runtime::RunServer(*config, {StartLineOf(*config, call->log), call->log});
}

Expected<int> GoUser(Call* call) {
  const runtime::StopSignals stop;  // Blocked before there is any thread that they could end.
  const auto config = runtime::ReadNodeConfig(call->path, runtime::Role::kUser);
  if (!config) return tl::unexpected(config.error());
  NameLog(config->node, call);
  const auto lock =
      runtime::FolderLock::Take(config->folder, Name(config->node), {config->user.state_folder});
  if (!lock) return tl::unexpected(lock.error());
  const auto tell = [&](const std::string& file, const corpus::DataReport& report) {
    if (!SaysWhatItDoes(*config)) return;
    for (const std::string& line : DataLines(file, report))
      call->log.Info("data", line, {{"file", file}});
  };
  return runtime::RunUser(*config, {StartLineOf(*config, call->log), tell, call->log});
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
