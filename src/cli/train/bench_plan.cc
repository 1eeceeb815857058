#include "cli/train/bench_plan.h"

#include <algorithm>

namespace dashf::cli {
namespace {

constexpr int kSteps = 3;  // On each batch, the first of them to warm up.
constexpr int kServerEpochs = 3;
constexpr double kLossTolerance = 1e-4;
constexpr double kBFloat16LossTolerance = 1e-2;

std::vector<BenchPhase> PhasesOf(const std::vector<BenchBatch>& batches, int epochs) {
  std::vector<BenchPhase> phases;
  for (int batch = 0; batch < static_cast<int>(batches.size()); ++batch) {
    phases.push_back({batch, epochs});
  }
  return phases;
}

}  // namespace

BenchMeasurement PlanMeasurement(const BenchSubject& subject, const BenchPrograms& programs) {
  BenchJob job{.model_dir = subject.model_dir, .adapter_dir = subject.adapter_dir};
  job.processor_time = programs.processor_time;
  job.batches = subject.batches;
  job.phases = PhasesOf(subject.batches, kSteps);
  const std::string engine = programs.engine + " --job";
  BenchMeasurement plan;
  for (const int threads : programs.threads) {
    job.threads = threads;
    plan.steps.push_back({engine, job, kLossTolerance});
    if (programs.arithmetic != "float32") {
      plan.steps.push_back({programs.engine + " --arithmetic " + programs.arithmetic + " --job",
                            job,
                            kBFloat16LossTolerance});
    }
    if (programs.recompute) {
      plan.steps.push_back({programs.engine + " --recompute --job", job, kLossTolerance});
    }
    for (const std::string& peer : programs.peers) {
      plan.steps.push_back({peer, job, kLossTolerance});
    }
    for (const std::string& peer : programs.bfloat16_peers) {
      plan.steps.push_back({peer, job, kBFloat16LossTolerance});
    }
  }
  if (programs.steps_alone) return plan;
  job.split = std::max(1, subject.config.layers / 4);
  for (const Trains trains : {Trains::kUserEarlyExit, Trains::kUserFullDepth}) {
    job.trains = trains;
    plan.user.push_back({engine, job, kLossTolerance});
  }
  job.trains = Trains::kServer;
  job.split = subject.config.layers / 2;
  job.phases = PhasesOf(subject.batches, kServerEpochs);
  job.phases.insert(job.phases.begin(), {0, 1});  // To warm up.
  plan.server.push_back({engine, job, kLossTolerance});
  // A phase of one epoch computes the hidden states for this epoch alone.
  job.phases.assign(1, {0, 1});
  for (int epoch = 0; epoch < kServerEpochs; ++epoch) {
    for (const BenchPhase& phase : PhasesOf(subject.batches, 1)) job.phases.push_back(phase);
  }
  plan.server.push_back({engine, job, kLossTolerance});
  return plan;
}

}  // namespace dashf::cli
