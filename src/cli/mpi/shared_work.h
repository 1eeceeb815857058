// What the ranks other than 0 do next, as rank 0 announces it. Between announcements they reply for
// the price search (solvers/user_shards.h).
#pragma once

#include <cstdint>
#include <span>

#include "base/ranks.h"
#include "solvers/user_shards.h"

namespace dashf::cli {

enum class SharedWork : std::uint8_t { kEnd, kSweep };

// Rank 0's side.
inline void Announce(SharedWork work, Ranks* ranks) {
  solvers::EndReplies(ranks);
  Broadcast(ranks, std::as_writable_bytes(std::span(&work, 1)));
}

// The others': replies until there is something else to do.
inline SharedWork AwaitWork(Ranks* ranks) {
  solvers::ReplyForRankZero(ranks);
  SharedWork work = SharedWork::kEnd;
  Broadcast(ranks, std::as_writable_bytes(std::span(&work, 1)));
  return work;
}

}  // namespace dashf::cli
