// The verbs that train or carry a plan out; `dashf` becomes this program when one is called.
#include "cli/command_line.h"

int main(int argc, char** argv) {
  namespace cli = dashf::cli;
  const cli::AddVerb kVerbs[] = {
      cli::AddBenchTrain,
      cli::AddGenerate,
      cli::AddScore,
      cli::AddMerge,
      cli::AddTrain,
      cli::AddProfile,
#ifdef DASHF_RUNTIME
      cli::AddRun,
      cli::AddStudy,
      cli::AddCoordinator,
      cli::AddServer,
      cli::AddUser,
#endif
  };
  return cli::RunCommandLine(argc, argv, kVerbs, {});
}
