// The one command. Results on stdout, everything else on stderr, exit codes as in
// docs/exit-codes.md.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "cli/command_line.h"

namespace dashf::cli {
namespace {

constexpr AddVerb kPlannerVerbs[] = {AddNew,
                                     AddEvaluate,
                                     AddSolve,
                                     AddVerify,
                                     AddCompare,
                                     AddBench,
                                     AddExplain,
                                     AddReport,
                                     AddSections};

// Becomes the engine, with the same arguments and process number; returns only if there is none.
int BecomeEngine(char** argv) {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path engine =
      (self.parent_path() / "../libexec/dashf-engine").lexically_normal();
  ::execv(engine.c_str(), argv);
  fmt::print(stderr,
             "dashf: {}: the training engine cannot be started: {}\n",
             engine.string(),
             std::strerror(errno));
  return static_cast<int>(ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::cli

int main(int argc, char** argv) {
  namespace cli = dashf::cli;
  const auto called = [&](const cli::Verb& verb) {
    return argc > 1 && std::strcmp(argv[1], verb.name) == 0;
  };
  if (std::any_of(cli::kEngineVerbs.begin(), cli::kEngineVerbs.end(), called)) {
    return cli::BecomeEngine(argv);
  }
  return cli::RunCommandLine(argc, argv, cli::kPlannerVerbs, cli::kEngineVerbs);
}
