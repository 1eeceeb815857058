// The command line's parts: each verb adds itself to the application and leaves a function to run.
// This is the only place where modules are put together.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/ranks.h"

namespace dashf::cli {

// Exit codes (docs/exit-codes.md). Errors give ErrorKind's own value.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInfeasible = 4;
inline constexpr int kExitLimitHit = 5;    // A limit was hit; a usable plan was written.
inline constexpr int kExitJobsFailed = 7;  // Of a sweep; the others' results are kept.
inline constexpr int kExitRoundFailed = 8;

// CLI11's own Range and PositiveNumber let NaN pass.
inline CLI::Validator Within(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        double value = 0.0;
        const bool number = CLI::detail::lexical_cast(text, value);
        if (number && value >= low && value <= high) return std::string();
        return fmt::format("must be a number in [{}, {}], got {}", low, high, text);
      },
      fmt::format("FLOAT in [{} - {}]", low, high));
}

// What a verb does once the command line is parsed: an exit code, or an error that main prints to
// stderr.
using Run = std::function<Expected<int>()>;
// Adds one verb's subcommand; its callback stores what is to be run into `run`.
using AddVerb = std::function<void(CLI::App& app, Run& run)>;

void AddNew(CLI::App& app, Run& run);
void AddCheck(CLI::App& app, Run& run);
void AddEvaluate(CLI::App& app, Run& run);
void AddSolve(CLI::App& app, Run& run, Ranks* ranks);  // nullptr: this process alone.
void AddVerify(CLI::App& app, Run& run);
void AddBound(CLI::App& app, Run& run);
void AddCompare(CLI::App& app, Run& run);
void AddSweep(CLI::App& app, Run& run, Ranks* ranks);  // nullptr: this process alone.
void AddBench(CLI::App& app, Run& run);
void AddExplain(CLI::App& app, Run& run);
void AddReport(CLI::App& app, Run& run);
void AddSections(CLI::App& app, Run& run);
void AddBenchTrain(CLI::App& app, Run& run);    // DASHF_TRAIN
void AddGenerate(CLI::App& app, Run& run);      // DASHF_TRAIN
void AddMerge(CLI::App& app, Run& run);         // DASHF_TRAIN
void AddExport(CLI::App& app, Run& run);        // DASHF_TRAIN
void AddScore(CLI::App& app, Run& run);         // DASHF_TRAIN
void AddPretrain(CLI::App& app, Run& run);      // DASHF_TORCH
void AddTrain(CLI::App& app, Run& run);         // DASHF_TRAIN
void AddProfile(CLI::App& app, Run& run);       // DASHF_TRAIN
void AddRun(CLI::App& app, Run& run);           // DASHF_RUNTIME
void AddStudy(CLI::App& app, Run& run);         // DASHF_RUNTIME
void AddCoordinator(CLI::App& app, Run& run);   // DASHF_RUNTIME
void AddServer(CLI::App& app, Run& run);        // DASHF_RUNTIME
void AddUser(CLI::App& app, Run& run);          // DASHF_RUNTIME
void AddBenchRuntime(CLI::App& app, Run& run);  // DASHF_RUNTIME
void AddKit(CLI::App& app, Run& run);           // DASHF_RUNTIME
void AddCtl(CLI::App& app, Run& run);           // DASHF_RUNTIME

}  // namespace dashf::cli
