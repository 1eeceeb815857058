// The verbs that train or carry a plan out; `dashf` becomes this program when one is called.
#include <malloc.h>

#include <csignal>
#include <cstdlib>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  // What a stage of a training takes goes back to the kernel at its end: by itself glibc would keep
  // it for the next one, which needs blocks of another size. What a product takes for its own time
  // stays, for the next one needs as much, and the kernel would clear it every time.
  constexpr int kReturnedBytes = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kReturnedBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kReturnedBytes);
  // A file beyond the process's limit is then an error, as on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  // gRPC's own log would stand before the lines that say the same in our words.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  namespace cli = dashf::cli;
  const cli::AddVerb kVerbs[] = {
      cli::AddBenchTrain,
      cli::AddGenerate,
      cli::AddScore,
      cli::AddMerge,
      cli::AddExport,
      cli::AddTrain,
      cli::AddProfile,
#ifdef DASHF_RUNTIME
      cli::AddRun,
      cli::AddStudySplit,
      cli::AddStudyLosses,
      cli::AddCoordinator,
      cli::AddServer,
      cli::AddUser,
      cli::AddKit,
      cli::AddCtl,
      cli::AddWatch,
      cli::AddBenchRuntime,
#endif
  };
  return cli::RunCommandLine(argc, argv, kVerbs, {});
}
