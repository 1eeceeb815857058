#include "runtime/server_training.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/compute_gate.h"
#include "runtime/failpoint.h"
#include "train/peft_io.h"
#include "train/server_batch.h"

namespace dashf::runtime {

struct ServerTraining::Learner {
  std::string user;
  int k = 0;
  std::vector<corpus::Example> examples;
  train::Adapter adapter;
};

Expected<ServerTraining::Learner> ServerTraining::Prepare(const TrainingJob& job) const {
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
  const auto samples = corpus::ParseSamples("user " + job.user + "'s data set", job.data);
  if (!samples) return tl::unexpected(samples.error());
  auto adapter = train::InitialAdapter(model, training.adapter, training.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  if (job.local_layers > 0) {
    const auto decoded = train::DecodeLayers(job.adapters, 1, job.local_layers, model, &*adapter);
    if (!decoded) return tl::unexpected(decoded.error());
  }
  auto examples =
      corpus::TokenizeSamples(*samples, base_.tokenizer, base_.chat, training.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  return Learner{job.user, job.local_layers, std::move(*examples), std::move(*adapter)};
}

void ServerTraining::Train(const std::vector<TrainingJob>& jobs, const Ended& ended) {
  std::vector<Learner> learners;
  for (const TrainingJob& job : jobs) {
    if (auto learner = Prepare(job)) {
      learners.push_back(std::move(*learner));
    } else {
      ended(job.user, tl::unexpected(learner.error()));
    }
  }
  const auto turn = ComputeTurn::Take(config_.gate_folder, config_.gate_turns);
  if (!turn) {
    for (const Learner& learner : learners) ended(learner.user, tl::unexpected(turn.error()));
    return;
  }
  std::vector<train::BatchedUser> users;
  for (Learner& learner : learners) {
    telemetry_.Write("phase_started",
                     {{"round", config_.round}, {"user", learner.user}, {"phase", "server"}});
    train::TrainOptions options = config_.training.OptionsFor(config_.training.epochs_server);
    options.on_step = [this, &learner](const train::StepReport&) {
      return store_.Expected(learner.user);
    };
    users.push_back({&learner.examples, learner.k, std::move(options), &learner.adapter});
  }
  Failpoint(config_.node, "server");
  train::TrainServerBatch(
      base_.model, users, [&](std::size_t index, const Expected<train::PhaseReport>& report) {
        const Learner& learner = learners[index];
        if (report && report->stopped) {
          return ended(learner.user,
                       Fail(ErrorKind::kRoundFailed, "user " + learner.user, "was dropped"));
        }
        if (report) {
          store_.Finish(
              learner.user,
              train::EncodeLayers(learner.adapter, learner.k + 1, base_.model.config().layers));
        }
        ended(learner.user, report);
      });
}

}  // namespace dashf::runtime
