#include "mpi/mpi_ranks.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/termination.h"

namespace dashf::mpi {
namespace {

constexpr int kTag = 0;
constexpr std::size_t kMessageMax = std::size_t{1} << 30;  // MPI counts with int.

// MPI waits at full speed, and rank 0 may read a file or clear markets for minutes. Who waits for
// long therefore sleeps between looks.
void WaitPolitely(MPI_Request* request) {
  constexpr double kAwakeS = 2e-3;
  constexpr auto kNap = std::chrono::microseconds(100);
  const Stopwatch watch;
  for (int arrived = 0; true;) {
    MPI_Test(request, &arrived, MPI_STATUS_IGNORE);
    if (arrived != 0) return;
    if (watch.ElapsedS() > kAwakeS) {
      std::this_thread::sleep_for(kNap);
    } else {
      sched_yield();
    }
  }
}

}  // namespace

MpiRanks::MpiRanks(int* argc, char*** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &count_);
}

MpiRanks::~MpiRanks() {
  MPI_Finalize();
}

void MpiRanks::Send(int to, std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kMessageMax) {
    const auto part = bytes.subspan(at, std::min(kMessageMax, bytes.size() - at));
    MPI_Send(part.data(), static_cast<int>(part.size()), MPI_BYTE, to, kTag, MPI_COMM_WORLD);
  }
}

void MpiRanks::Receive(int from, std::span<std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kMessageMax) {
    const auto part = bytes.subspan(at, std::min(kMessageMax, bytes.size() - at));
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Irecv(
        part.data(), static_cast<int>(part.size()), MPI_BYTE, from, kTag, MPI_COMM_WORLD, &request);
    WaitPolitely(&request);
  }
}

void MpiRanks::Abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();  // MPI_Abort does not return.
}

}  // namespace dashf::mpi
