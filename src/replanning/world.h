// A fleet's world over rounds: users that move, come and go and have data to train on, servers that
// fail and come back, fading links. It follows from its settings and a seed alone, whatever is
// planned in it, so that policies are compared on the same world. Pure: safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "replanning/mobility.h"
#include "scenario/scenario.h"
#include "sweep/design.h"

namespace dashf::replanning {

// From round to round, a Markov chain of two states for each node, which begins in its stationary
// distribution: up with probability back / (away + back).
struct Churn {
  double away = 0.0;  // In [0, 1]: who is there is away in the next round.
  double back = 0.0;  // In [0, 1], > 0 if away > 0: who is away is there again.
};

inline sweep::StudySettings TwentyUsersOnFourServers() {
  sweep::StudySettings study;
  study.users = 20;
  study.servers = 4;
  return study;
}

struct WorldSettings {
  sweep::StudySettings study = TwentyUsersOnFourServers();  // Of the first round's scenario.
  int rounds = 50;                                          // >= 1.
  Walk walk;
  std::optional<Trace> trace;  // Instead of the walk.
  bool fading_anew = true;     // Each round; else a link's first draw stays with it.
  // The data that come in for a user's round are its data set in the scenario times a draw from
  // [1 - spread, 1 + spread], uniform; in [0, 1).
  double data_spread = 0.5;
  Churn users{.away = 0.05, .back = 0.2}, servers{.away = 0.02, .back = 0.3};

  // kUsage names the flag that is out of range.
  Expected<void> Validate() const;
  // What two runs must agree on to share a file of results.
  nlohmann::ordered_json Json() const;
};

struct WorldRound {
  int users = 0, servers = 0;                    // That are there.
  std::map<std::string, double> data_part = {};  // By id: of each user's mean, > 0.
  // Of those who are there; where slots or links do not do for all users, of as many as a largest
  // matching takes. None if there is nobody to plan for, or no server.
  std::optional<Scenario> scenario;
};

class World {
 public:
  // The default study's scenario of this seed, and what becomes of it.
  static Expected<World> Make(const WorldSettings& settings, std::uint64_t seed);
  // Round 0 <= round < settings.rounds.
  WorldRound At(int round) const;

 private:
  World(const WorldSettings& settings, std::uint64_t seed, Scenario base)
      : settings_(settings), seed_(seed), base_(std::move(base)) {}
  std::vector<Link> LinksOf(std::size_t user, int round) const;

  WorldSettings settings_;
  std::uint64_t seed_ = 0;
  Scenario base_;
  Paths paths_;
  std::vector<std::vector<bool>> user_there_, server_there_;  // Per round.
  std::vector<std::vector<double>> part_;                     // Per round and user, > 0.
};

// The table of a user whose data are `part` of what they were, part > 0: work and data in
// proportion, adapters and memory as they are.
SplitProfile WithPartOfData(const SplitProfile& profile, double part);

}  // namespace dashf::replanning
