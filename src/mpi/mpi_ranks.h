// Ranks (base/ranks.h) over MPI: the processes that mpirun or Slurm's srun started together, or
// this process alone where neither did.
#pragma once

#include "base/ranks.h"

namespace dashf::mpi {

// MPI itself: one per process, made first thing in main() and by the thread that uses it. An error
// of MPI's own ends all processes.
class MpiRanks final : public Ranks {
 public:
  MpiRanks(int* argc, char*** argv);
  ~MpiRanks() override;  // Waits for the other ranks'.
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  int rank() const override { return rank_; }
  int count() const override { return count_; }
  void Send(int to, std::span<const std::byte> bytes) override;
  void Receive(int from, std::span<std::byte> bytes) override;
  // Ends all processes with this exit code, without waiting for any.
  [[noreturn]] void Abort(int exit_code);

 private:
  int rank_ = 0, count_ = 1;
};

}  // namespace dashf::mpi
