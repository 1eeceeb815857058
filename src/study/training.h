// One training of a study: a schedule's phases carried out one after the other on one user's
// examples in this process, with what they cost, and the result held against held-out examples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "study/results.h"
#include "study/schedule.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::study {

struct UserData {
  std::vector<corpus::Example> train = {}, test = {};
  double data_bytes = 0.0;  // What the training records take on their way to the server.
  std::string sha256 = {};
};
std::string DigestOf(const UserData& data);

// Steps of one pass over the training set, by the options' batches.
int StepsPerPass(const UserData& data, const train::TrainOptions& options);

// Of `options` the epochs and the seed are the phases'. The first phase draws its batches from
// `seed`, every later one from a stream of its own, so that short phases do not all see the same
// examples. `adapter` is trained in place; the outcome's user is left 0.
Expected<Outcome> CarryOut(const train::Model& model,
                           const UserData& data,
                           const std::vector<Phase>& phases,
                           const train::TrainOptions& options,
                           std::uint64_t seed,
                           train::Adapter* adapter);

}  // namespace dashf::study
