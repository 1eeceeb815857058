// libexec/dashf-mpi, which `dashf` becomes for a verb with --mpi: rank 0 is the command line as
// ever, the other ranks do what it announces and end with its exit code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/command_line.h"
#include "mpi/mpi_ranks.h"
#include "solvers/user_shards.h"

namespace dashf::cli {
namespace {

int Lead(int argc, char** argv, Ranks* ranks) {
  const AddVerb verbs[] = {[ranks](CLI::App& app, Run& run) { AddSolve(app, run, ranks); }};
  int code = RunCommandLine(argc, argv, verbs, {});
  solvers::EndReplies(ranks);
  Broadcast(ranks, std::as_writable_bytes(std::span(&code, 1)));
  return code;
}

int Follow(Ranks* ranks) {
  solvers::ReplyForRankZero(ranks);
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
