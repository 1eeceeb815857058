// The one binary. Results on stdout, everything else on stderr, exit codes as in
// docs/exit-codes.md.
#include <fmt/format.h>

#include <cstdio>

#include "cli/command.h"
#include "cli/verbs.h"

int main(int argc, char** argv) {
  CLI::App app{
      "dashf: plan and carry out split fine-tuning of LLM adapters between users and edge servers"};
  app.set_version_flag("--version", std::string("dashf ") + DASHF_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  dashf::cli::Run run;
  for (const dashf::cli::AddVerb add : dashf::cli::kVerbs) add(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_text = error.get_exit_code() == 0;  // --help and --version.
    const int code = app.exit(error, std::cout, std::cerr);
    return asked_for_text ? code : dashf::cli::kExitUsage;
  }
  const dashf::Expected<int> outcome = run();
  if (outcome) return *outcome;
  fmt::print(stderr, "dashf: {}\n", outcome.error().Text());
  return static_cast<int>(outcome.error().kind);
}
