// The simulation's ground: virtual time, a network that misbehaves, and the random numbers of one
// seed.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "fleet/state.h"

namespace dashf::fleet {

class World {
 public:
  World(std::uint64_t seed, bool trace);

  Millis now() const { return now_; }
  // Whole numbers in [low, high].
  std::int64_t Uniform(std::int64_t low, std::int64_t high);
  bool Chance(double probability);

  void After(Millis delay, std::function<void()> what);
  // Over the network: perhaps never, perhaps twice, in any order. `what` runs at the receiver.
  void Send(const NodeId& from, const NodeId& to, const std::function<void()>& what);
  // Cuts or mends the path between two nodes.
  void Cut(const NodeId& a, const NodeId& b, bool cut);
  void Heal();  // From now on nothing is lost.

  // Runs until `until` or until nothing is left to happen.
  void Run(Millis until, const std::function<bool()>& done);

  void Break(const std::string& property);  // It does not hold; the first one counts.
  const std::string& broken() const { return broken_; }
  void Note(const std::string& line);
  const std::vector<std::string>& trace() const { return trace_; }
  bool faulty() const { return faulty_; }
  std::int64_t messages() const { return messages_; }

 private:
  struct Due {
    Millis at;
    std::int64_t order;
    std::function<void()> what;
    bool operator<(const Due& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  Rng rng_;
  Millis now_ = 1'000'000;
  std::int64_t order_ = 0;
  std::priority_queue<Due> queue_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  double loss_, duplicates_;
  Millis delay_max_;
  bool faulty_ = true;
  bool tracing_;
  std::int64_t messages_ = 0;
  std::string broken_;
  std::vector<std::string> trace_;
};

}  // namespace dashf::fleet
