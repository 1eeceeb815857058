// libexec/dashf-pretrain, which `dashf` becomes for the one verb that needs libtorch.
#include "cli/command_line.h"

int main(int argc, char** argv) {
  const dashf::cli::AddVerb kVerbs[] = {dashf::cli::AddPretrain};
  return dashf::cli::RunCommandLine(argc, argv, kVerbs, {});
}
