// The jobs of a study: independent trainings, each in a process of its own, whose outcomes are kept
// in OUT/results.jsonl, so that a study that was stopped goes on where it stopped.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "study/design.h"
#include "study/results.h"
#include "train/model.h"

namespace dashf::study {

struct StudyRun {
  std::filesystem::path out;
  int processes = 1;                                 // Jobs at the same time, >= 1.
  std::string base_name;                             // Of the model, for adapter_config.json.
  std::function<bool()> stopped;                     // Asked several times a second.
  std::function<void(const std::string&)> progress;  // A line for people.
};

struct Tally {
  int jobs = 0;  // All, those done before included.
  int done = 0;
  int failed = 0;
};

// Carries out what `results` lack, the references first. A job that fails is told about and left
// out. Needs a process with one thread (study/workers.h). Own adapters of the reference are written
// to OUT/adapters/SEED/uN. An error is one of the whole study: other data than before, a disk that
// is full.
Expected<Tally> CarryOutAll(const train::Model& model,
                            const std::vector<Repetition>& repetitions,
                            const Design& design,
                            const StudyRun& run,
                            Results* results);

}  // namespace dashf::study
