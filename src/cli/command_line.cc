#include "cli/command_line.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>

namespace dashf::cli {

int RunCommandLine(int argc,
                   char** argv,
                   std::span<const AddVerb> verbs,
                   std::span<const Verb> elsewhere) {
  CLI::App app{
      "dashf: plan and carry out split fine-tuning of LLM adapters between users and edge servers"};
  app.name("dashf");
  app.set_version_flag("--version", std::string("dashf ") + DASHF_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  Run run;
  for (const AddVerb& add : verbs) add(app, run);
  for (const Verb& verb : elsewhere) app.add_subcommand(verb.name, verb.summary);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_text = error.get_exit_code() == 0;  // --help and --version.
    const int code = app.exit(error, std::cout, std::cerr);
    return asked_for_text ? code : kExitUsage;
  }
  const Expected<int> outcome = run();
  if (outcome) return *outcome;
  fmt::print(stderr, "dashf: {}\n", outcome.error().Text());
  return static_cast<int>(outcome.error().kind);
}

}  // namespace dashf::cli
