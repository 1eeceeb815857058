// The study of what a split costs in quality: the same users, data, first adapters and number of
// steps, shared out between user and server in every way asked for, and held against training all
// layers in one place. Jobs are independent; what they found is kept in OUT/results.jsonl, so that
// a study that was stopped goes on where it stopped.
#pragma once

#include <cstdint>
#include <vector>

#include "study/schedule.h"
#include "study/training.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::study {

// One independent repetition: its users' data, and the seed of adapters and orders.
struct Repetition {
  std::uint64_t seed = 1;
  std::vector<UserData> users = {};
};

struct Design {
  train::AdapterConfig adapter = {};
  train::TrainOptions training = {};  // Epochs and seed have no meaning here.
  int passes = 6;                     // Steps of every training, in passes over the user's data.
  std::vector<Schedule> schedules = {};
  std::vector<train::UserObjective> objectives = {};
  std::vector<int> splits = {};  // k, each in 0..L.
  // Also one adapter trained on all users' data with as many passes, and the averages of the
  // users' own adapters.
  bool averages = true;
};

// A way to share out the work; k = 0 and k = L are the same in every schedule and under either
// objective, and stand once.
struct Arm {
  Schedule schedule = {};
  train::UserObjective objective = train::UserObjective::kFullDepth;
  int k = 0;
};
std::vector<Arm> ArmsOf(const Design& design, int layers);

// What the arm does with a user's data, and the training of all layers in one place that all is
// held against: with as many steps, and with the number of steps whose FLOP are nearest to those of
// `phases` (at least one).
std::vector<Phase> PhasesOf(const Arm& arm, const Design& design, int layers, const UserData& data);
std::vector<Phase> Reference(const Design& design, const UserData& data);
std::vector<Phase> ReferenceOfEqualFlop(const std::vector<Phase>& phases,
                                        const Design& design,
                                        const train::ModelConfig& model,
                                        const UserData& data);

}  // namespace dashf::study
