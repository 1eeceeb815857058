// libexec/dashf-mpi, which `dashf` becomes for a verb with --mpi: rank 0 is the command line as
// ever, the other ranks do what it announces and end with its exit code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/command_line.h"
#include "cli/mpi/shared_work.h"
#include "cli/planner/sweep_solve.h"
#include "mpi/mpi_ranks.h"
#include "sweep/work.h"

namespace dashf::cli {
namespace {

int Lead(int argc, char** argv, Ranks* ranks) {
  const AddVerb verbs[] = {[ranks](Command app, Run& run) { AddSolve(app, run, ranks); },
                           [ranks](Command app, Run& run) { AddSweep(app, run, ranks); }};
  int code = RunCommandLine(argc, argv, verbs, {});
  Announce(SharedWork::kEnd, ranks);
  Broadcast(ranks, std::as_writable_bytes(std::span(&code, 1)));
  return code;
}

int Follow(Ranks* ranks) {
  while (AwaitWork(ranks) == SharedWork::kSweep) sweep::WorkForRankZero(SolveForSweep, ranks);
  int code = 0;
  Broadcast(ranks, std::as_writable_bytes(std::span(&code, 1)));
  return code;
}

}  // namespace
}  // namespace dashf::cli

int main(int argc, char** argv) {
  dashf::mpi::MpiRanks ranks(&argc, &argv);
  try {
    return ranks.rank() == 0 ? dashf::cli::Lead(argc, argv, &ranks) : dashf::cli::Follow(&ranks);
  } catch (const std::exception& error) {  // Memory or threads that the system does not give.
    fmt::print(
        stderr, "dashf: rank {}: not enough memory or threads: {}\n", ranks.rank(), error.what());
    ranks.Abort(static_cast<int>(dashf::ErrorKind::kNumerical));
  }
}
