// Where users are over rounds: the random waypoint model, or a trace that was recorded elsewhere.
// Pure but for ReadTrace(): safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "scenario/scenario.h"

namespace dashf::replanning {

struct Area {
  Position low, high;  // Opposite corners.
};
// The smallest that holds every user and server.
Area AreaAround(const Scenario& scenario);

struct Walk {
  double speed_m_per_s_min = 0.5;  // > 0, or 0 and a maximum of 0: nobody moves.
  double speed_m_per_s_max = 1.5;  // >= the minimum.
  double round_s = 300.0;          // > 0, from the beginning of a round to that of the next.

  bool moves() const { return speed_m_per_s_max > 0.0; }
};

// Per round, per user. The first round's are `start`.
using Paths = std::vector<std::vector<Position>>;

// Random waypoint (Johnson and Maltz, Mobile Computing, 1996) without pauses: each user goes
// straight to a place drawn uniformly in the area at a speed drawn uniformly, and then to another.
// Starts outside the area are led into it. Each user has a stream of its own.
Paths RandomWaypoint(const std::vector<Position>& start,
                     const Area& area,
                     const Walk& walk,
                     int rounds,
                     const Rng& rng);

// A recorded trace: CSV with the columns round (from 1), user (an id), x_m and y_m, in any order of
// rows; what it says beyond the last round is passed over.
struct Trace {
  struct Row {
    int round = 0;
    std::string user;
    Position position_m;
    std::string place;  // "trace.csv:7".
  };
  std::string path;
  std::string sha256;  // Of the file's bytes.
  std::vector<Row> rows;
};
// kIo, or kBadInput naming file, line and column.
Expected<Trace> ReadTrace(const std::string& path);
// kBadInput for a user that the scenario does not have, and for one that has no place, or two, in
// one of the rounds.
Expected<Paths> PathsOf(const Trace& trace, const Scenario& scenario, int rounds);

}  // namespace dashf::replanning
