// One user's adapter over the rounds of a fleet: in each round that it is planned in, the user
// trains the first layers on the data that came in, the server the others, and the next round goes
// on from there. What that does to the loss on held-out data. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "study/training.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::study {

struct Turn {
  int k = 0;               // The user trains layers 1..k, in 0..L.
  double data_part = 1.0;  // Of the examples of a mean round.
};

struct RoundsOfTurns {
  train::AdapterConfig adapter = {};
  train::TrainOptions training = {};  // Epochs and seed have no meaning here.
  train::UserObjective objective = train::UserObjective::kEarlyExit;
  int epochs_user = 1, epochs_server = 1, epochs_joint = 0;
  double examples_per_round = 1.0;  // In the mean, > 0.
};

// How many layers of a model of `layers` are nearest to k of `planned_layers`; both sides keep a
// layer where both have one.
int NearestSplit(int k, int planned_layers, int layers);

// Which examples each turn brings: the next ones, at least one, as many as its part of the mean;
// from the beginning again where the data are used up.
std::vector<std::vector<std::size_t>> ExamplesOfTurns(std::span<const std::optional<Turn>> turns,
                                                      double examples_per_round,
                                                      std::size_t examples);

// Held-out loss, nat per answer token, after so many rounds each; `after` ascends within
// [0, turns.size()]. A user without a turn in a round does nothing in it. kNumerical where a
// training diverged.
Expected<std::vector<double>> LossesOver(const train::Model& model,
                                         const UserData& data,
                                         std::span<const std::optional<Turn>> turns,
                                         const RoundsOfTurns& rounds,
                                         const std::vector<int>& after,
                                         std::uint64_t seed);

}  // namespace dashf::study
