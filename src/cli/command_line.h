// One program's command line, from argv to the exit code.
#pragma once

#include <span>

#include "cli/command.h"
#include "cli/verbs.h"

namespace dashf::cli {

// `elsewhere` are verbs that --help lists and another program carries out; they must not be called.
int RunCommandLine(int argc,
                   char** argv,
                   std::span<const AddVerb> verbs,
                   std::span<const Verb> elsewhere);

}  // namespace dashf::cli
