#include "runtime/server_training.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "runtime/failpoint.h"
#include "train/checkpoint.h"
#include "train/memory_forecast.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

using std::chrono::milliseconds;

// How long a change may go unnoticed while nobody has a step to take.
constexpr milliseconds kIdle(50);
constexpr double kNobodyS = 60.0;       // An upload, and closing, end this wait.
constexpr double kMachinesShare = 0.8;  // Of memory, where the node file says nothing.

double MachineMemoryBytes() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<double>(::sysconf(_SC_PAGESIZE));
}

tl::unexpected<Error> Dropped(const Attempt& attempt) {
  return Fail(ErrorKind::kRoundFailed, "user " + attempt.user, "was dropped");
}

// How a file could be converted is nothing to do about what a peer has sent.
Error WithoutAdvice(Error error) {
  error.message = error.message.substr(0, error.message.find("; "));
  return error;
}

double BytesForTraining(const ServerKit& kit, const BaseModel& base) {
  const double all = kit.memory_bytes_max > 0 ? static_cast<double>(kit.memory_bytes_max)
                                              : kMachinesShare * MachineMemoryBytes();
  return all - static_cast<double>(base.model.weights().Bytes());
}

double FlopOf(const PhaseWork& work) {
  return train::PhaseTraining::FlopOf(
      work.model, work.examples, work.first, work.last, work.objective, work.options, work.adapter);
}

}  // namespace

// One user on its way.
struct ServerTraining::Learner {
  Attempt attempt;
  int k = 0;
  Share share;
  std::vector<corpus::Example> examples = {};
  train::Adapter adapter = {};
  double bytes = 0.0;  // Foretold, without the base.
  bool jointly = false;
  train::TrainingIdentity own = {}, joint = {};  // Of its two phases, by what was uploaded.
  std::optional<KeptPhase> phase = {};
  double flop = 0.0, flop_before = 0.0;  // Of both phases; of the one that is over.
  train::PhaseReport report = {};        // Of the phases that are over.
  bool over = false;                     // All is trained; its share of time has not passed yet.

  void Add(const train::PhaseReport& more) {
    report.steps += more.steps;
    report.losses.insert(report.losses.end(), more.losses.begin(), more.losses.end());
    report.tokens += more.tokens;
  }
};

ServerTraining::ServerTraining(const NodeConfig& config,
                               const BaseModel& base,
                               std::string model_sha256,
                               const Telemetry& telemetry,
                               UserStore* store,
                               Listener listener)
    : config_(config),
      training_(config.training),
      base_(base),
      model_sha256_(std::move(model_sha256)),
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
  auto learner = std::make_unique<Learner>(
      Learner{job.attempt, job.local_layers, ShareOf(job.server_clock_hz, 0.0)});
  const auto samples = corpus::ParseSamples("user " + job.attempt.user + "'s data set", job.data);
  if (!samples) return tl::unexpected(WithoutAdvice(samples.error()));
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
  const PhaseWork own = PhaseOf(*learner, false), joint = PhaseOf(*learner, true);
  if (auto sound = train::PhaseTraining::Check(
          own.model, own.examples, own.first, own.last, own.options, own.adapter);
      !sound) {
    return tl::unexpected(sound.error());
  }
  learner->own = IdentityOf(own, model_sha256_, job.attempt.round, training_);
  learner->joint = IdentityOf(joint, model_sha256_, job.attempt.round, training_);
  learner->bytes = ForetoldBytes(*learner);
  learner->flop = FlopOf(own) + (training_.epochs_joint > 0 ? FlopOf(joint) : 0.0);
  return learner;
}

PhaseWork ServerTraining::PhaseOf(const Learner& learner, bool jointly) const {
  train::TrainOptions options =
      training_.OptionsFor(jointly ? std::max(1, training_.epochs_joint) : training_.epochs_server,
                           learner.attempt.round);
  if (jointly) options.seed = Rng(options.seed).Stream("joint").Next();  // Batches anew.
  return {base_.model,
          learner.examples,
          jointly ? 1 : learner.k + 1,
          base_.model.config().layers,
          train::UserObjective::kFullDepth,
          std::move(options),
          learner.adapter,
          jointly ? learner.joint : learner.own};
}

double ServerTraining::ForetoldBytes(const Learner& learner) const {
  double bytes = 0.0;
  for (const bool jointly : {false, training_.epochs_joint > 0}) {
    const PhaseWork work = PhaseOf(learner, jointly);
    const auto forecast = train::ForetellMemory(base_.model.config(),
                                                {},
                                                work.examples,
                                                {},
                                                work.first,
                                                work.last,
                                                work.objective,
                                                work.options,
                                                work.adapter);
    bytes = std::max(bytes, forecast.Total() - forecast.weights);
  }
  return bytes;
}

// What it goes on from, if a process before this one has begun it, lies with the upload.
Expected<void> ServerTraining::BeginPhase(Learner* learner, bool jointly) {
  const Attempt& attempt = learner->attempt;
  std::optional<Spent> earlier;
  if (learner->phase) earlier = learner->phase->spent();
  learner->phase.reset();  // Its memory first.
  learner->jointly = jointly;
  learner->flop_before = jointly ? FlopOf(PhaseOf(*learner, false)) : 0.0;
  auto begun = KeptPhase::Begin({.path = store_.CheckpointPath(attempt),
                                 .interval_s = config_.checkpoint_interval_s,
                                 .node = config_.node,
                                 .telemetry = &telemetry_,
                                 .about = {{"round", attempt.round},
                                           {"user", attempt.user},
                                           {"phase", jointly ? "joint" : "server"}},
                                 .clock_s = [this] { return NowS(); },
                                 .meter = meter_ ? &*meter_ : nullptr},
                                PhaseOf(*learner, jointly),
                                earlier);
  if (!begun) return tl::unexpected(begun.error());
  learner->phase.emplace(std::move(*begun));
  return {};
}

void ServerTraining::Run() {
  while (!store_.Closed()) {
    HeedChanges();
    FinishSettled();
    TakeUp(milliseconds(0));
    const double now_s = NowS();
    const auto turn = shares_.Next(now_s);
    if (turn && turn->at_s <= now_s) {
      Serve(turn->user);
      continue;
    }
    gate_.Leave();
    const double idle_s = turn ? turn->at_s - now_s : kNobodyS;
    const milliseconds idle(std::llround(1e3 * idle_s));
    TakeUp(turn ? std::clamp(idle, milliseconds(1), kIdle) : idle);
  }
  for (const auto& [user, learner] : learners_) learner->phase->Keep();
  gate_.Leave();
}

void ServerTraining::Drop(Learner* learner) {
  const Attempt attempt = learner->attempt;
  End(learner, Dropped(attempt));
  store_.Sweep(attempt);
}

// Users that are dropped, and new shares.
void ServerTraining::HeedChanges() {
  std::vector<Learner*> unwanted;
  for (const auto& [user, learner] : learners_) {
    if (!store_.Wanted(learner->attempt)) unwanted.push_back(learner.get());
  }
  for (Learner* learner : unwanted) Drop(learner);
  if (waiting_ && !store_.Wanted(waiting_->attempt)) {
    listener_.on_ended(waiting_->attempt, Dropped(waiting_->attempt));
    waiting_.reset();
  }
  const std::lock_guard lock(mutex_);
  if (!std::exchange(given_changed_, false)) return;
  for (const auto& [user, given] : given_) by_wall_ = by_wall_ || given.second.of_work;
  for (const auto& [user, learner] : learners_) {
    const auto found = given_.find(user);
    if (found == given_.end() || found->second.first != learner->attempt) continue;
    if (found->second.second == learner->share) continue;
    const bool another_unit = found->second.second.of_work != learner->share.of_work;
    learner->share = found->second.second;
    if (another_unit) {  // What it has had in the other does not count.
      shares_.Leave(user, NowS());
      shares_.Join(user, learner->share.per_s, NowS());
    } else {
      shares_.SetShare(user, learner->share.per_s, NowS());
    }
  }
}

void ServerTraining::SetShare(const Attempt& attempt, double server_clock_hz, double planned_s) {
  const std::lock_guard lock(mutex_);
  given_[attempt.user] = {attempt, ShareOf(server_clock_hz, planned_s)};
  given_changed_ = true;
}

// A plan gives no clock where it sees no work.
ServerTraining::Share ServerTraining::ShareOf(double server_clock_hz, double planned_s) const {
  if (planned_s > 0.0 && !config_.server.work_conserving) return {1.0 / planned_s, true};
  const double share = server_clock_hz / config_.server.device.compute.clock_hz_max;
  return {std::isfinite(share) && share > 0.0 ? share : 1.0, false};
}

double ServerTraining::Served(const Learner& learner) const {
  const train::PhaseTraining& training = learner.phase->training();
  if (!learner.share.of_work) return training.cpu_s() / train::Threads();
  const double flop = learner.flop_before + training.flop_done();
  return learner.flop > 0.0 ? flop / learner.flop : 1.0;
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
      if (!learners_.empty()) return std::this_thread::sleep_for(patience);
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
  const auto earlier = learners_.find(user);  // Of an attempt that is over since just now.
  if (earlier != learners_.end()) Drop(earlier->second.get());
  {
    const std::lock_guard lock(mutex_);
    const auto found = given_.find(user);
    if (found != given_.end() && found->second.first == learner->attempt) {
      learner->share = found->second.second;
      by_wall_ = by_wall_ || learner->share.of_work;
    }
  }
  const bool jointly =
      training_.epochs_joint > 0 &&
      train::ReadCheckpoint(store_.CheckpointPath(learner->attempt), learner->joint).has_value();
  if (auto begun = BeginPhase(learner.get(), jointly); !begun) {
    return listener_.on_ended(learner->attempt, tl::unexpected(begun.error()));
  }
  shares_.Join(user, learner->share.per_s, NowS());
  telemetry_.Write("phase_started",
                   {{"round", learner->attempt.round},
                    {"user", user},
                    {"phase", "server"},
                    {learner->share.of_work ? "planned_s" : "clock_share",
                     learner->share.of_work ? 1.0 / learner->share.per_s : learner->share.per_s}});
  Failpoint(config_.node, "server");
  learners_.emplace(user, std::move(learner));
}

void ServerTraining::Serve(const std::string& user) {
  Learner* const learner = learners_.at(user).get();
  if (learner->over) return;  // Not quite settled yet, or it would have been finished.
  const auto entered = gate_.Enter([this] { return !store_.Closed(); });
  if (!entered) return End(learner, tl::unexpected(entered.error()));
  if (*entered) Advance(learner);
}

// Nobody's step goes before these.
void ServerTraining::FinishSettled() {
  std::vector<Learner*> settled;
  for (const auto& [user, learner] : learners_) {
    const double now_s = NowS();
    if (learner->over && shares_.SettledAt(user, now_s) <= now_s) settled.push_back(learner.get());
  }
  for (Learner* learner : settled) Finish(learner);
}

// A step has all of the server's threads.
void ServerTraining::Advance(Learner* learner) {
  KeptPhase& phase = *learner->phase;
  const double before = Served(*learner);
  const auto more = phase.Advance();
  const std::string& user = learner->attempt.user;
  shares_.Charge(user, Served(*learner) - before);
  if (!more) return End(learner, tl::unexpected(more.error()));
  if (*more) return;
  const train::PhaseReport report = phase.training().Finish(&learner->adapter);
  if (auto sound = train::CheckDivergence(report); !sound) {
    return End(learner, tl::unexpected(sound.error()));
  }
  const int first = learner->jointly ? 1 : learner->k + 1;
  if (auto sound = train::CheckForPeers(
          learner->adapter, first, base_.model.config().layers, base_.model.config());
      !sound) {
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
  const Trained trained{learner->report, learner->phase->spent()};
  const int first = training_.FirstReturned(learner->k);
  const auto kept =
      store_.Finish(learner->attempt,
                    train::EncodeLayers(learner->adapter, first, base_.model.config().layers),
                    trained.spent);
  if (!kept) return End(learner, tl::unexpected(kept.error()));
  Failpoint(config_.node, "finished");
  End(learner, Expected<Trained>(trained));
}

void ServerTraining::End(Learner* learner, const Expected<Trained>& trained) {
  shares_.Leave(learner->attempt.user, NowS());
  const auto ended = learners_.extract(learner->attempt.user);
  listener_.on_ended(learner->attempt, trained);
}

}  // namespace dashf::runtime
