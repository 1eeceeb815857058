// The one command. Results on stdout, everything else on stderr, exit codes as in
// docs/exit-codes.md.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/completion.h"

namespace dashf::cli {
namespace {

const AddVerb kPlannerVerbs[] = {AddNew,
                                 AddCheck,
                                 AddEvaluate,
                                 [](Command app, Run& run) { AddSolve(app, run, nullptr); },
                                 AddVerify,
                                 AddBound,
                                 AddCompare,
                                 [](Command app, Run& run) { AddSweep(app, run, nullptr); },
                                 AddBench,
                                 AddStudy,
                                 AddExplain,
                                 AddReport,
                                 AddSections};

// Becomes another program, with the same arguments and process number; returns only if it cannot.
int Become(const char* program, char** argv) {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path path =
      (self.parent_path() / "../libexec" / program).lexically_normal();
  ::execv(path.c_str(), argv);
  if (errno == ENOENT) {
    fmt::print(stderr, "dashf: {}: is not part of this installation\n", path.string());
  } else {
    fmt::print(stderr, "dashf: {}: cannot be started: {}\n", path.string(), std::strerror(errno));
  }
  return static_cast<int>(ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::cli

int main(int argc, char** argv) {
  namespace cli = dashf::cli;
  std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool completes = !words.empty() && words[0] == cli::kComplete;
  if (completes) words.erase(words.begin());
  const auto called = [&](std::string_view verb) { return !words.empty() && words[0] == verb; };
  for (const cli::Verb& verb : cli::kEngineVerbs) {
    if (called(verb.name)) return cli::Become(verb.program, argv);
  }
  for (const cli::EngineSubcommand& sub : cli::kEngineSubcommands) {
    if (called(sub.verb) && words.size() > 1 && words[1] == sub.name) {
      return cli::Become("dashf-engine", argv);
    }
  }
  const bool on_ranks = !completes && std::find(words.begin(), words.end(), "--mpi") != words.end();
  for (const char* verb : cli::kMpiVerbs) {
    if (called(verb) && on_ranks) return cli::Become("dashf-mpi", argv);
  }
  return cli::RunCommandLine(argc, argv, cli::kPlannerVerbs, cli::kEngineVerbs);
}
