#include "runtime/server_training.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "runtime/failpoint.h"
#include "train/memory_forecast.h"
#include "train/peft_io.h"
#include "train/phase_training.h"

namespace dashf::runtime {
namespace {

using std::chrono::milliseconds;

// How long a change may go unnoticed while nobody has a step to take.
constexpr milliseconds kIdle(50);
constexpr double kMachinesShare = 0.8;  // Of memory, where the node file says nothing.

double MachineMemoryBytes() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double BytesForTraining(const ServerKit& kit, const BaseModel& base) {
  const double all = kit.memory_bytes_max > 0 ? static_cast<double>(kit.memory_bytes_max)
                                              : kMachinesShare * MachineMemoryBytes();
  return all - static_cast<double>(base.model.weights().Bytes());
}

}  // namespace

// One user on its way.
struct ServerTraining::Learner {
  Attempt attempt;
  int k = 0;
  double server_clock_hz = 0.0;
  std::vector<corpus::Example> examples = {};
  train::Adapter adapter = {};
  double bytes = 0.0;  // Foretold, without the base.
  bool jointly = false;
  std::optional<train::PhaseTraining> training = {};
  train::PhaseReport report = {};  // Of the phases that are over.
  double began_s = 0.0;
  bool over = false;  // All is trained; its share of time has not passed yet.

  void Add(const train::PhaseReport& more) {
    report.steps += more.steps;
    report.losses.insert(report.losses.end(), more.losses.begin(), more.losses.end());
    report.tokens += more.tokens;
    report.cpu_s += more.cpu_s;
  }
};

ServerTraining::ServerTraining(const NodeConfig& config,
                               const BaseModel& base,
                               const Telemetry& telemetry,
                               UserStore* store,
                               Listener listener)
    : config_(config),
      training_(config.training),
      base_(base),
      telemetry_(telemetry),
      store_(*store),
      listener_(std::move(listener)),
      memory_bytes_max_(BytesForTraining(config.server, base)),
      gate_(config.gate_folder, config.gate_turns),
      shares_(config.server.work_conserving) {}

ServerTraining::~ServerTraining() = default;

Expected<ServerTraining::OneLearner> ServerTraining::Prepare(const TrainingJob& job) const {
  if (!job.intact) return tl::unexpected(job.intact.error());
  const train::ModelConfig& model = base_.model.config();
  if (job.layers != model.layers || job.local_layers >= job.layers) {
    return Fail(ErrorKind::kBadInput,
                config_.model_folder,
                fmt::format("has {} layers, the assignment says {} of {}",
                            model.layers,
                            job.local_layers,
                            job.layers));
  }
  auto learner =
      std::make_unique<Learner>(Learner{job.attempt, job.local_layers, job.server_clock_hz});
  const auto samples = corpus::ParseSamples("user " + job.attempt.user + "'s data set", job.data);
  if (!samples) return tl::unexpected(samples.error());
  auto adapter = train::InitialAdapter(model, training_.adapter, training_.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  learner->adapter = std::move(*adapter);
  if (!job.adapters.empty()) {
    // Who goes on from an earlier round has sent all layers.
    auto decoded = train::DecodeLayers(job.adapters, 1, model.layers, model, &learner->adapter);
    if (!decoded && job.local_layers > 0) {
      decoded = train::DecodeLayers(job.adapters, 1, job.local_layers, model, &learner->adapter);
    }
    if (!decoded) return tl::unexpected(decoded.error());
  }
  auto examples =
      corpus::TokenizeSamples(*samples, base_.tokenizer, base_.chat, training_.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  learner->examples = std::move(*examples);
  if (auto begun = BeginPhase(learner.get(), false); !begun) return tl::unexpected(begun.error());
  return learner;
}

// Also foretells its memory: that of the larger of its phases is that of the first unless joint
// epochs follow, which train more layers and keep no hidden states.
Expected<void> ServerTraining::BeginPhase(Learner* learner, bool jointly) const {
  train::TrainOptions options = training_.OptionsFor(
      jointly ? training_.epochs_joint : training_.epochs_server, learner->attempt.round);
  if (jointly) options.seed = Rng(options.seed).Stream("joint").Next();  // Batches anew.
  const train::ModelConfig& model = base_.model.config();
  learner->jointly = jointly;
  learner->training.reset();  // Its memory first.
  const int first = jointly ? 1 : learner->k + 1;
  auto training = train::PhaseTraining::Begin(base_.model,
                                              learner->examples,
                                              first,
                                              model.layers,
                                              train::UserObjective::kFullDepth,
                                              options,
                                              learner->adapter);
  if (!training) return tl::unexpected(training.error());
  learner->training.emplace(std::move(*training));
  for (const int from : {first, training_.epochs_joint > 0 ? 1 : first}) {
    const auto forecast = train::ForetellMemory(model,
                                                {},
                                                learner->examples,
                                                {},
                                                from,
                                                model.layers,
                                                train::UserObjective::kFullDepth,
                                                options,
                                                learner->adapter);
    learner->bytes = std::max(learner->bytes, forecast.Total() - forecast.weights);
  }
  return {};
}

void ServerTraining::Run() {
  while (!store_.Closed()) {
    HeedChanges();
    TakeUp(milliseconds(0));
    const double now_s = NowS();
    const auto turn = shares_.Next(now_s);
    if (turn && turn->at_s <= now_s) {
      Serve(turn->user);
      continue;
    }
    gate_.Leave();
    const double idle_s = turn ? turn->at_s - now_s : 1.0;
    TakeUp(std::clamp(milliseconds(std::llround(1e3 * idle_s)), milliseconds(1), kIdle));
  }
  gate_.Leave();
}

// Users that are dropped, and new shares.
void ServerTraining::HeedChanges() {
  std::vector<Learner*> unwanted;
  for (const auto& [user, learner] : learners_) {
    if (!store_.Wanted(learner->attempt)) unwanted.push_back(learner.get());
  }
  const auto dropped = [](const Attempt& attempt) {
    return Fail(ErrorKind::kRoundFailed, "user " + attempt.user, "was dropped");
  };
  for (Learner* learner : unwanted) End(learner, dropped(learner->attempt));
  if (waiting_ && !store_.Wanted(waiting_->attempt)) {
    listener_.on_ended(waiting_->attempt, dropped(waiting_->attempt));
    waiting_.reset();
  }
  const std::lock_guard lock(mutex_);
  if (!std::exchange(clocks_changed_, false)) return;
  for (const auto& [user, learner] : learners_) {
    const auto found = clocks_.find(user);
    if (found == clocks_.end() || found->second.first != learner->attempt) continue;
    if (found->second.second == learner->server_clock_hz) continue;
    learner->server_clock_hz = found->second.second;
    shares_.SetShare(user, ShareOf(*learner), NowS());
  }
}

void ServerTraining::SetClock(const Attempt& attempt, double server_clock_hz) {
  const std::lock_guard lock(mutex_);
  clocks_[attempt.user] = {attempt, server_clock_hz};
  clocks_changed_ = true;
}

// A plan gives no clock where it sees no work.
double ServerTraining::ShareOf(const Learner& learner) const {
  const double share = learner.server_clock_hz / config_.server.device.compute.clock_hz_max;
  return std::isfinite(share) && share > 0.0 ? share : 1.0;
}

// In the order in which the store gives them, so that none waits for ever.
void ServerTraining::TakeUp(milliseconds patience) {
  while (!store_.Closed()) {
    if (!waiting_) {
      const auto job = store_.NextJob(patience);
      if (!job) return;
      patience = milliseconds(0);
      listener_.on_taken(job->attempt);
      auto learner = Prepare(*job);
      if (!learner) {
        listener_.on_ended(job->attempt, tl::unexpected(learner.error()));
        continue;
      }
      waiting_ = std::move(*learner);
      if (!HasRoomFor(*waiting_)) {
        telemetry_.Write("training_waits",
                         {{"round", waiting_->attempt.round},
                          {"user", waiting_->attempt.user},
                          {"memory_bytes", waiting_->bytes},
                          {"memory_bytes_max", memory_bytes_max_}});
      }
    }
    if (!HasRoomFor(*waiting_)) {
      if (!learners_.empty()) return;
      const OneLearner refused = std::move(waiting_);
      listener_.on_ended(
          refused->attempt,
          Fail(ErrorKind::kInfeasible,
               "server " + config_.node.id,
               fmt::format("the training needs {:.0f} MB beside the base, and may have {:.0f} MB",
                           refused->bytes / 1e6,
                           memory_bytes_max_ / 1e6)));
      continue;
    }
    Join(std::move(waiting_));
  }
}

bool ServerTraining::HasRoomFor(const Learner& learner) const {
  double bytes = learner.bytes;
  for (const auto& [user, other] : learners_) bytes += other->bytes;
  return bytes <= memory_bytes_max_;
}

void ServerTraining::Join(OneLearner learner) {
  const std::string& user = learner->attempt.user;
  {
    const std::lock_guard lock(mutex_);
    const auto found = clocks_.find(user);
    if (found != clocks_.end() && found->second.first == learner->attempt) {
      learner->server_clock_hz = found->second.second;
    }
  }
  learner->began_s = NowS();
  shares_.Join(user, ShareOf(*learner), NowS());
  telemetry_.Write("phase_started",
                   {{"round", learner->attempt.round},
                    {"user", user},
                    {"phase", "server"},
                    {"clock_share", ShareOf(*learner)}});
  Failpoint(config_.node, "server");
  learners_.emplace(user, std::move(learner));
}

void ServerTraining::Serve(const std::string& user) {
  Learner* const learner = learners_.at(user).get();
  if (learner->over) return Finish(learner);
  const auto entered = gate_.Enter([this] { return !store_.Closed(); });
  if (!entered) return End(learner, tl::unexpected(entered.error()));
  if (*entered) Advance(learner);
}

// A step has all of the server's threads.
void ServerTraining::Advance(Learner* learner) {
  train::PhaseTraining& training = *learner->training;
  const double before_s = training.cpu_s();
  const auto more = training.Advance();
  const std::string& user = learner->attempt.user;
  shares_.Charge(user, (training.cpu_s() - before_s) / train::Threads());
  if (!more) return End(learner, tl::unexpected(more.error()));
  if (*more) return;
  const train::PhaseReport report = training.Finish(&learner->adapter);
  if (auto sound = train::CheckDivergence(report); !sound) {
    return End(learner, tl::unexpected(sound.error()));
  }
  learner->Add(report);
  if (training_.epochs_joint > 0 && !learner->jointly) {
    if (auto begun = BeginPhase(learner, true); !begun) {
      End(learner, tl::unexpected(begun.error()));
    }
  } else if (shares_.SettledAt(user, NowS()) <= NowS()) {
    Finish(learner);
  } else {
    learner->over = true;
  }
}

void ServerTraining::Finish(Learner* learner) {
  train::PhaseReport& report = learner->report;
  report.elapsed_s = NowS() - learner->began_s;
  const int first = training_.FirstReturned(learner->k);
  const auto kept =
      store_.Finish(learner->attempt,
                    train::EncodeLayers(learner->adapter, first, base_.model.config().layers),
                    report.elapsed_s,
                    report.cpu_s);
  if (!kept) return End(learner, tl::unexpected(kept.error()));
  Failpoint(config_.node, "finished");
  End(learner, Expected<train::PhaseReport>(report));
}

void ServerTraining::End(Learner* learner, const Expected<train::PhaseReport>& report) {
  shares_.Leave(learner->attempt.user, NowS());
  const auto ended = learners_.extract(learner->attempt.user);
  listener_.on_ended(learner->attempt, report);
}

}  // namespace dashf::runtime
