// How one fine-tuning is shared out between a user and a server: which side trains which layers for
// how many steps, and in which order. Plain data; pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "train/phases.h"

namespace dashf::study {

enum class Site { kUser, kServer };

// The user trains layers 1..k, the server layers k+1..L, each with the other layers as they stand.
struct Phase {
  Site site = Site::kServer;
  int k = 0;
  train::UserObjective objective = train::UserObjective::kFullDepth;  // Of a user's phase.
  int steps = 0;

  bool operator==(const Phase&) const = default;
};

// "user 1-3 early_exit x60, server 4-6 x60": what was done, whoever asked for it.
std::string Text(const std::vector<Phase>& phases, int layers);

// What a schedule may vary while the number of steps stays.
struct Schedule {
  int rounds = 1;           // User and server take turns so many times.
  int overlap = 0;          // The server also trains the user's last so many layers.
  double joint = 0.0;       // Share of all steps at the end in which the server trains all layers.
  double user_share = 0.5;  // Share of the other steps that is the user's.
  bool server_first = false;  // In every round.

  bool operator==(const Schedule&) const = default;
};

// "plain", or what differs from it: "rounds=3,overlap=1,joint=0.1,share=0.25,server-first".
// `user_share` is the share of a schedule that names none. kUsage names the part that is wrong.
Expected<Schedule> ParseSchedule(std::string_view text, double user_share);
std::string Name(const Schedule& schedule, double user_share);

// `steps` >= 1 in all, shared out as evenly as whole numbers allow. With k = 0 the server makes
// all of them at once, with k = L the user, whatever the schedule: there is nothing to share.
std::vector<Phase> PhasesOf(
    const Schedule& schedule, int k, int layers, train::UserObjective objective, int steps);

}  // namespace dashf::study
