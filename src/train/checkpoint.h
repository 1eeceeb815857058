// A training on its way, as a file: dashf.checkpoint/1, a safetensors file (docs/formats.md). It is
// replaced in one step, so whatever ends the process, the newest whole one is there.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "train/adapter.h"
#include "train/phases.h"

namespace dashf::train {

// What a training is of, by name: options as they are written, data and weights by their digests.
// Only a training that is equal in all of it may go on from a checkpoint.
using TrainingIdentity = std::map<std::string, std::string, std::less<>>;

// Of TrainLayers() with these arguments in this process; `initial` is the adapter that it starts
// from, `model_digest` what ModelDigest() gives.
TrainingIdentity IdentityOf(const std::string& model_digest,
                            const std::vector<corpus::Example>& examples,
                            int first,
                            int last,
                            UserObjective objective,
                            const TrainOptions& options,
                            const Adapter& initial);

// Of config.json and all *.safetensors in a model folder. kIo.
Expected<std::string> ModelDigest(const std::filesystem::path& folder);

// kIo; then the file is what it was.
Expected<void> WriteCheckpoint(const std::filesystem::path& path,
                               const TrainingState& state,
                               const TrainingIdentity& identity);

// kBadInput names what differs from `identity`, or the tensor that breaks a rule: shapes that do
// not go together, values that are not finite. kIo.
Expected<TrainingState> ReadCheckpoint(const std::filesystem::path& path,
                                       const TrainingIdentity& identity);

}  // namespace dashf::train
