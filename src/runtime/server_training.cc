#include "runtime/server_training.h"

#include <fmt/format.h>

#include <utility>

#include "base/rng.h"
#include "base/termination.h"
#include "runtime/compute_gate.h"
#include "runtime/failpoint.h"
#include "train/peft_io.h"
#include "train/server_batch.h"

namespace dashf::runtime {

struct ServerTraining::Learner {
  Attempt attempt;
  int k = 0;
  std::vector<corpus::Example> examples;
  train::Adapter adapter;
  train::PhaseReport report = {};  // Of all that it was trained in so far.

  void Add(const train::PhaseReport& more) {
    report.steps += more.steps;
    report.losses.insert(report.losses.end(), more.losses.begin(), more.losses.end());
    report.tokens += more.tokens;
    report.cpu_s += more.cpu_s;
  }
};

Expected<ServerTraining::Learner> ServerTraining::Prepare(const TrainingJob& job) const {
  if (!job.intact) return tl::unexpected(job.intact.error());
  const TrainingSettings& training = config_.training;
  const train::ModelConfig& model = base_.model.config();
  if (job.layers != model.layers || job.local_layers >= job.layers) {
    return Fail(ErrorKind::kBadInput,
                config_.model_folder,
                fmt::format("has {} layers, the assignment says {} of {}",
                            model.layers,
                            job.local_layers,
                            job.layers));
  }
  const auto samples = corpus::ParseSamples("user " + job.attempt.user + "'s data set", job.data);
  if (!samples) return tl::unexpected(samples.error());
  auto adapter = train::InitialAdapter(model, training.adapter, training.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  if (!job.adapters.empty()) {
    // Who goes on from an earlier round has sent all layers.
    auto decoded = train::DecodeLayers(job.adapters, 1, model.layers, model, &*adapter);
    if (!decoded && job.local_layers > 0) {
      decoded = train::DecodeLayers(job.adapters, 1, job.local_layers, model, &*adapter);
    }
    if (!decoded) return tl::unexpected(decoded.error());
  }
  auto examples =
      corpus::TokenizeSamples(*samples, base_.tokenizer, base_.chat, training.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  return Learner{job.attempt, job.local_layers, std::move(*examples), std::move(*adapter)};
}

void ServerTraining::Train(const std::vector<TrainingJob>& jobs, const Ended& ended) {
  std::vector<Learner> learners;
  for (const TrainingJob& job : jobs) {
    if (auto learner = Prepare(job)) {
      learners.push_back(std::move(*learner));
    } else {
      ended(job.attempt, tl::unexpected(learner.error()));
    }
  }
  const auto turn = ComputeTurn::Take(config_.gate_folder, config_.gate_turns);
  if (!turn) {
    for (const Learner& learner : learners) ended(learner.attempt, tl::unexpected(turn.error()));
    return;
  }
  std::vector<Learner*> all, left;
  for (Learner& learner : learners) {
    telemetry_.Write(
        "phase_started",
        {{"round", learner.attempt.round}, {"user", learner.attempt.user}, {"phase", "server"}});
    all.push_back(&learner);
  }
  Failpoint(config_.node, "server");
  const Stopwatch watch;
  const auto finish = [&](Learner& learner) {
    const int first = config_.training.FirstReturned(learner.k);
    learner.report.elapsed_s = watch.ElapsedS();
    const auto kept =
        store_.Finish(learner.attempt,
                      train::EncodeLayers(learner.adapter, first, base_.model.config().layers),
                      learner.report.elapsed_s,
                      learner.report.cpu_s);
    if (!kept) return ended(learner.attempt, tl::unexpected(kept.error()));
    Failpoint(config_.node, "finished");
    ended(learner.attempt, learner.report);
  };
  if (config_.training.epochs_joint == 0) return TrainTogether(all, false, finish, ended);
  TrainTogether(
      all, false, [&left](Learner& learner) { left.push_back(&learner); }, ended);
  TrainTogether(left, true, finish, ended);
}

void ServerTraining::TrainTogether(const std::vector<Learner*>& learners,
                                   bool jointly,
                                   const std::function<void(Learner&)>& trained,
                                   const Ended& ended) {
  const TrainingSettings& training = config_.training;
  std::vector<train::BatchedUser> users;
  for (Learner* learner : learners) {
    train::TrainOptions options = training.OptionsFor(
        jointly ? training.epochs_joint : training.epochs_server, learner->attempt.round);
    if (jointly) options.seed = Rng(options.seed).Stream("joint").Next();  // Batches anew.
    options.on_step = [this, learner](const train::StepReport&) {
      return !stopped_ && store_.Wanted(learner->attempt);
    };
    users.push_back(
        {&learner->examples, jointly ? 0 : learner->k, std::move(options), &learner->adapter});
  }
  train::TrainServerBatch(
      base_.model, users, [&](std::size_t index, const Expected<train::PhaseReport>& report) {
        Learner& learner = *learners[index];
        if (!report) return ended(learner.attempt, report);
        if (report->stopped) {
          return ended(
              learner.attempt,
              Fail(ErrorKind::kRoundFailed, "user " + learner.attempt.user, "was dropped"));
        }
        learner.Add(*report);
        trained(learner);
      });
}

}  // namespace dashf::runtime
