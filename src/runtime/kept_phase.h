// A phase of training that outlives its process: its state is kept in a checkpoint every so often,
// and a process that is started again goes on from there to the same bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/termination.h"
#include "runtime/energy_meter.h"
#include "runtime/node_config.h"
#include "runtime/spent.h"
#include "runtime/telemetry.h"
#include "train/checkpoint.h"
#include "train/phase_training.h"

namespace dashf::runtime {

// Where it is kept, and who is told what of it.
struct PhaseFile {
  std::filesystem::path path;
  double interval_s = 0.0;  // At the least; 0: after every step.
  NodeId node;
  const Telemetry* telemetry = nullptr;
  nlohmann::ordered_json about;     // "round", "user" and "phase" of its events.
  std::function<double()> clock_s;  // Time that counts as the phase's.
  EnergyMeter* meter = nullptr;     // Read around every step; null: there is none.
};

// What is trained. All of it must outlive the phase but for the adapter.
struct PhaseWork {
  const train::Model& model;
  const std::vector<corpus::Example>& examples;
  int first = 1, last = 1;  // Layers.
  train::UserObjective objective = train::UserObjective::kFullDepth;
  train::TrainOptions options;
  const train::Adapter& adapter;
  train::TrainingIdentity identity;  // No other work may go on from its checkpoint.
};

// Of this round's work with these settings.
train::TrainingIdentity IdentityOf(const PhaseWork& work,
                                   const std::string& model_sha256,
                                   std::uint32_t round,
                                   const TrainingSettings& settings);

class KeptPhase {
 public:
  // Goes on from the file if it has a checkpoint of this work; one that is damaged or of other work
  // is named in the telemetry and removed. What follows a phase that took `earlier` begins at the
  // beginning, and that phase's checkpoint stays until it has one of its own. Errors as
  // TrainLayers'.
  static Expected<KeptPhase> Begin(PhaseFile file,
                                   const PhaseWork& work,
                                   const std::optional<Spent>& earlier = {});

  // As PhaseTraining's; keeps the state if it is time to. A disk that refuses is named, and the
  // last good checkpoint stays.
  Expected<bool> Advance();
  void Keep();          // What is not kept yet.
  void Remove() const;  // The file.

  const train::PhaseTraining& training() const { return training_; }
  Spent spent() const;  // By this process and, up to the checkpoint it went on from, by others.

 private:
  KeptPhase(PhaseFile file,
            train::TrainingIdentity identity,
            train::PhaseTraining training,
            const Spent& before)
      : file_(std::move(file)),
        identity_(std::move(identity)),
        training_(std::move(training)),
        before_(before),
        energy_j_(before.energy_j),
        began_s_(file_.clock_s()),
        kept_steps_(training_.steps()) {}

  PhaseFile file_;
  train::TrainingIdentity identity_;
  train::PhaseTraining training_;
  Spent before_;
  std::optional<double> energy_j_;  // Of all steps; none once one could not be measured.
  double began_s_;
  int kept_steps_;
  Stopwatch kept_;  // Since then.
};

}  // namespace dashf::runtime
