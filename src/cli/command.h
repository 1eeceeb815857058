// The command line's parts: each verb adds itself to the application and leaves a function to run.
// This is the only place where modules are put together.
#pragma once

#include <functional>

#include "base/error.h"
#include "base/ranks.h"
#include "cli/options.h"

namespace dashf::cli {

// Exit codes (docs/exit-codes.md). Errors give ErrorKind's own value.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInfeasible = 4;
inline constexpr int kExitLimitHit = 5;    // A limit was hit; a usable plan was written.
inline constexpr int kExitJobsFailed = 7;  // Of a sweep; the others' results are kept.
inline constexpr int kExitRoundFailed = 8;

// What a verb does once the command line is parsed: an exit code, or an error that main prints to
// stderr.
using Run = std::function<Expected<int>()>;
// Adds one verb's subcommand; its callback stores what is to be run into `run`.
using AddVerb = std::function<void(Command app, Run& run)>;

void AddNew(Command app, Run& run);
void AddCheck(Command app, Run& run);
void AddEvaluate(Command app, Run& run);
void AddSolve(Command app, Run& run, Ranks* ranks);  // nullptr: this process alone.
void AddVerify(Command app, Run& run);
void AddBound(Command app, Run& run);
void AddCompare(Command app, Run& run);
void AddSweep(Command app, Run& run, Ranks* ranks);  // nullptr: this process alone.
void AddBench(Command app, Run& run);
void AddStudy(Command app, Run& run);
void AddExplain(Command app, Run& run);
void AddReport(Command app, Run& run);
void AddSections(Command app, Run& run);
void AddBenchTrain(Command app, Run& run);    // DASHF_TRAIN
void AddGenerate(Command app, Run& run);      // DASHF_TRAIN
void AddMerge(Command app, Run& run);         // DASHF_TRAIN
void AddExport(Command app, Run& run);        // DASHF_TRAIN
void AddScore(Command app, Run& run);         // DASHF_TRAIN
void AddPretrain(Command app, Run& run);      // DASHF_TORCH
void AddTrain(Command app, Run& run);         // DASHF_TRAIN
void AddProfile(Command app, Run& run);       // DASHF_TRAIN
void AddRun(Command app, Run& run);           // DASHF_RUNTIME
void AddStudySplit(Command app, Run& run);    // DASHF_RUNTIME
void AddStudyLosses(Command app, Run& run);   // DASHF_RUNTIME
void AddCoordinator(Command app, Run& run);   // DASHF_RUNTIME
void AddServer(Command app, Run& run);        // DASHF_RUNTIME
void AddUser(Command app, Run& run);          // DASHF_RUNTIME
void AddBenchRuntime(Command app, Run& run);  // DASHF_RUNTIME
void AddKit(Command app, Run& run);           // DASHF_RUNTIME
void AddCtl(Command app, Run& run);           // DASHF_RUNTIME
void AddWatch(Command app, Run& run);         // DASHF_RUNTIME

}  // namespace dashf::cli
