// One assignment of one user: its server, its split, its shares. A new plan for a user is a new
// attempt; what belongs to an old one is refused.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace dashf::runtime {

struct Attempt {
  std::string user;
  std::uint32_t round = 1;
  std::uint32_t number = 1;  // Of this user in this round, from 1.

  friend auto operator<=>(const Attempt&, const Attempt&) = default;  // Of one user's: by time.
};

}  // namespace dashf::runtime
