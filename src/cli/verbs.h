// Which verbs this build has. A planner-only build leaves out what needs the engine or the runtime.
#pragma once

#include <vector>

#include "cli/command.h"

namespace dashf::cli {

inline const std::vector<AddVerb> kVerbs = {
    AddNew,
    AddEvaluate,
    AddSolve,
    AddCompare,
    AddReport,
    AddSections,
#ifdef DASHF_TRAIN
    AddGenerate,
    AddPretrain,
    AddProfile,
#endif
#ifdef DASHF_RUNTIME
    AddRun,
    AddCoordinator,
    AddServer,
    AddUser,
#endif
};

}  // namespace dashf::cli
