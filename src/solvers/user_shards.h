// The price search's users shared out over processes (base/ranks.h). Rank 0 plans; the other ranks
// hold some users' rows and do with them what rank 0 announces: reply, add up, send what they kept.
// Only numbers travel: per sweep the prices go out and one row of sums comes back.
//
// The chunks of PricedUsers are shared out whole and in order over the ranks 1, 2, ..., 0, the
// order SumInOrder() adds in, so that every sum is rounded as one process would round it.
#pragma once

#include "base/ranks.h"
#include "solvers/priced_users.h"

namespace dashf::solvers {

// What the ranks other than 0 do while rank 0 solves with SolveOptions::ranks: returns when rank 0
// calls EndReplies().
void ReplyForRankZero(Ranks* ranks);
void EndReplies(Ranks* ranks);

namespace internal {

// What rank 0 announces, before `servers` vectors of 4 numbers: prices or a direction.
struct Errand {
  enum Kind : std::uint64_t { kTakeUsers, kRefresh, kSweep, kTimes, kGather, kEnd };
  Kind kind = kEnd;
  std::uint64_t thorough = 0;
  std::uint64_t servers = 0;
  std::uint64_t count = 0;
  double y = 0.0;
  double window_or_eta = 0.0;
};
void Announce(const Errand& errand, const ServerVector& vectors, Ranks* ranks);

// The chunks of a rank, of `chunks` in all.
ChunkRange OwnChunks(int rank, int ranks, std::size_t chunks);

// Announces and sends every other rank its users.
void ShareOutUsers(const ScrProblem& problem,
                   const ReplyConstants& constants,
                   int threads,
                   const std::vector<ReplyChunk>& chunks,
                   Ranks* ranks);

// The kept columns of each chunk and all columns' psi: sent by a rank, received by rank 0, which
// numbers columns as `columns` does.
void SendReplies(const std::vector<ReplyChunk>& chunks,
                 const std::vector<float>& psi,
                 Ranks* ranks);
void GatherReplies(const Columns& columns,
                   Ranks* ranks,
                   std::vector<ReplyChunk>* chunks,
                   std::vector<float>* psi);

}  // namespace internal
}  // namespace dashf::solvers
