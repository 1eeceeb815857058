#include "runtime/user_process.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "runtime/compute_gate.h"
#include "runtime/failpoint.h"
#include "runtime/kept_phase.h"
#include "runtime/messages.h"
#include "runtime/paced.h"
#include "runtime/settings_call.h"
#include "runtime/tls.h"
#include "train/peft_io.h"

namespace dashf::runtime {

namespace {

using fleet::Outcome;
using fleet::Phase;

constexpr std::chrono::milliseconds kTick(50);
constexpr std::chrono::seconds kStopWithin(9);
constexpr int kHandshakeTimeoutS = 15;
// A coordinator whose fleet is over may be gone before it has heard all, and needs none of it.
constexpr double kLastReportS = 10.0;
// From here on a transfer's pause is worth a line.
constexpr std::chrono::seconds kNoticedPause(1);

// The same reason with other figures is the same reason.
std::string WithoutNumbers(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

}  // namespace

UserProcess::~UserProcess() {
  Cancel();  // First of all, for it keeps what the worker has come to.
  if (session_) session_->Stop();
  if (reporter_.joinable()) reporter_.join();
}

v1::Hello UserProcess::Hello(const v1::Work& work) const {
  v1::Hello hello;
  *hello.mutable_work() = work;
  v1::UserCapabilities& user = *hello.mutable_user();
  const UserKit& kit = config_.user;
  *user.mutable_compute() = runtime::ToWire(kit.device.compute);
  user.set_tx_power_w_max(kit.device.tx_power_w_max);
  user.set_memory_bytes_max(kit.device.memory_bytes_max);
  *user.mutable_profile() = runtime::ToWire(kit.profile);
  user.set_samples(train_.size());
  user.set_data_bytes(data_.size());
  return hello;
}

Expected<std::optional<int>> UserProcess::Run(const v1::Work& work) {
  model_sha256_ = work.model_sha256();
  session_.emplace(
      config_,
      credentials_,
      Hello(work),
      Session::Listener{
          .on_orders = [this](const auto& orders) { loop_.Post([=, this] { Heed(orders); }); },
          .log = log_,
          .on_refused = [this](const auto& error) { loop_.Post([=, this] { Fail(error); }); },
          .on_outdated =
              [this](const auto& how) {
                log_.Info("settings", "the training settings have changed: " + how);
                loop_.Post([this] { outdated_ = true; });
              }});
  if (!agent_.memory().unreported.empty()) SendReport();
  while (!failed_ && !over_ && !outdated_) {
    loop_.DoPosted(kTick);
    if (leave_ && left_.MeasuredS() > kLastReportS) over_ = true;
    if (const auto signal = signals_.Wait(0)) {
      ExitWithin(kStopWithin, 128 + *signal);  // If a step takes longer.
      return 128 + *signal;
    }
  }
  if (failed_) return tl::unexpected(*failed_);
  if (outdated_) return std::nullopt;
  return EndOfFleet(config_.node, *leave_, log_);
}

void UserProcess::Heed(const v1::Orders& orders) {
  if (!std::exchange(registered_, true)) {
    telemetry_.Write("registered", {{"incarnation", session_->incarnation()}});
    service_state_.Ready("registered");
    Failpoint(config_.node, "registered");
  }
  fleet::UserOrders heeded;
  if (orders.has_work()) {
    const v1::Assignment& work = orders.work();
    const int layers = base_.model.config().layers;
    if (static_cast<int>(work.layers()) != layers || work.local_layers() > work.layers()) {
      return Fail({ErrorKind::kBadInput,
                   config_.model_folder,
                   fmt::format("has {} layers, the assignment says {} of {}",
                               layers,
                               work.local_layers(),
                               work.layers())});
    }
    heeded.kind = fleet::UserOrders::Kind::kWork;
    heeded.round = work.round();
    heeded.attempt = static_cast<int>(work.attempt());
    heeded.server = work.server();
    heeded.decision = DecisionIn(work);
    heeded.phase = runtime::FromWire(work.phase()).value_or(Phase::kLocal);
    std::vector<std::string> addresses(work.server_address().begin(), work.server_address().end());
    const bool moved = addresses != terms_.server_addresses;
    terms_ = {std::move(addresses), runtime::FromWire(work.pace())};
    {
      const std::lock_guard lock(mutex_);
      ready_ = heeded.phase >= Phase::kDownload;
      ready_changed_.notify_all();
    }
    if (moved) FollowServer(heeded);
  } else if (orders.has_leave()) {
    heeded.kind = fleet::UserOrders::Kind::kLeave;
    leave_ = orders.leave();
    left_ = Stopwatch();
  } else {
    log_.Info("rounds", "resting: " + orders.rest().reason(), {{"reason", orders.rest().reason()}});
  }
  Do(agent_.OnOrders(heeded));
  LeaveIfDone();
}

// To where its server is now; what has been transferred stays.
void UserProcess::FollowServer(const fleet::UserOrders& orders) {
  const fleet::UserMemory& memory = agent_.memory();
  const bool transfers = memory.phase == Phase::kUpload || memory.phase == Phase::kDownload;
  const bool same = memory.round == orders.round && memory.attempt == orders.attempt;
  if (!agent_.busy() || !transfers || !same) return;
  log_.Info("rounds",
            fmt::format("round {}: server {} is at another address", memory.round, memory.server),
            {{"round", memory.round}, {"server", memory.server}});
  Cancel();
  Begin(memory.phase);
}

void UserProcess::LeaveIfDone() {
  over_ = leave_ && agent_.memory().unreported.empty();
}

void UserProcess::Do(const std::vector<fleet::UserEffect>& effects) {
  for (const fleet::UserEffect& effect : effects) {
    Expected<void> done;
    if (std::holds_alternative<fleet::Save>(effect)) {
      done = folder_.WriteMemory(agent_.memory());
    } else if (std::holds_alternative<fleet::NewRound>(effect)) {
      done = folder_.BeginRound();
    } else if (std::holds_alternative<fleet::Cancel>(effect)) {
      Cancel();
    } else if (std::holds_alternative<fleet::Report>(effect)) {
      SendReport();
    } else if (const auto* begin = std::get_if<fleet::Begin>(&effect)) {
      Begin(begin->phase);
    }
    if (!done) return Fail(done.error());
  }
}

void UserProcess::Cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    ready_changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
  cancelled_ = false;
}

void UserProcess::Begin(Phase phase) {
  if (worker_.joinable()) worker_.join();  // Its outcome was the last thing it had to do.
  const fleet::UserMemory& memory = agent_.memory();
  Failpoint(config_.node, Key(phase));
  telemetry_.Write("phase_started",
                   {{"round", memory.round}, {"user", config_.node.id}, {"phase", Key(phase)}});
  log_.Info("rounds",
            fmt::format("round {}: {}", memory.round, Name(phase)),
            {{"round", memory.round}, {"phase", Key(phase)}, {"server", memory.server}});
  worker_ = std::thread([this, number = ++begun_, phase, memory, terms = terms_] {
    auto end = CertificateEnd();
    auto outcome = Carry(phase, memory, terms);
    while (!outcome && outcome.error().kind == ErrorKind::kIdentity && OutlivedExpiry(end)) {
      end = CertificateEnd();
      outcome = Carry(phase, memory, terms);
    }
    if (cancelled_) return;
    Failpoint(config_.node, fmt::format("{}_done", Key(phase)));
    if (!outcome && outcome.error().kind == ErrorKind::kIo) {
      // Its disk's trouble: what it has kept so far is what it goes on from.
      return loop_.Post([this, error = outcome.error()] { Fail(error); });
    }
    if (!outcome) outcome = Outcome{outcome.error().Text(), {}, {}, {}};
    loop_.Post([this, number, outcome = *outcome] {
      if (number == begun_) Do(agent_.OnOutcome(outcome));
    });
  });
}

UserProcess::SystemTime UserProcess::CertificateEnd() const {
  return EndOf(credentials_.Current().certificate_pem);
}

// Whether a peer had to refuse this node's certificate, which ended at `end`, and there is another.
bool UserProcess::OutlivedExpiry(SystemTime end) const {
  using Clock = std::chrono::system_clock;
  if (end > Clock::now()) return false;
  log_.Warning("credentials", "waiting for a certificate in the place of the one that has ended");
  while (!cancelled_ && CertificateEnd() <= Clock::now()) std::this_thread::sleep_for(kTick);
  return !cancelled_;
}

// The front of what is unreported, until it is answered.
void UserProcess::SendReport() {
  if (reporting_ || agent_.memory().unreported.empty()) return;
  reporting_ = true;
  if (reporter_.joinable()) reporter_.join();
  fleet::PhaseFinished report = agent_.memory().unreported.front();
  report.user = config_.node.id;
  Failpoint(config_.node, fmt::format("{}_saved", Key(report.phase)));
  reporter_ = std::thread([this, report] {
    const auto answer = session_->Report(report);
    loop_.Post([this, report, answer] {
      reporting_ = false;
      if (!answer) return Fail(answer.error());
      if (!*answer) return;  // Stopped.
      Failpoint(config_.node, fmt::format("{}_reported", Key(report.phase)));
      const auto& unreported = agent_.memory().unreported;
      const bool front = !unreported.empty() && unreported.front().round == report.round &&
                         unreported.front().attempt == report.attempt &&
                         unreported.front().phase == report.phase;
      if (front) Do(agent_.OnReported(**answer));
      SendReport();
      LeaveIfDone();
    });
  });
}

void UserProcess::WaitUntil(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  ready_changed_.wait_until(lock, until, [this] { return cancelled_.load(); });
}

Expected<Outcome> UserProcess::Carry(Phase phase,
                                     const fleet::UserMemory& memory,
                                     const Terms& terms) {
  if (phase == Phase::kLocal) return TrainLocally(memory, terms.pace.local_s);
  if (phase == Phase::kVerify) return Verify(memory);
  // The first that answers; the first if none does, so that the transfer says why.
  const NodeId server = ServerNode(memory.server);
  const std::vector<std::string>& addresses = terms.server_addresses;
  std::string address = addresses.empty() ? "" : addresses.front();
  if (addresses.size() > 1) {
    address =
        FirstThatAnswers(server, addresses, credentials_, kHandshakeTimeoutS).value_or(address);
  }
  EdgeLink edge(
      {.attempt = {config_.node.id, memory.round, static_cast<std::uint32_t>(memory.attempt)},
       .server = server,
       .address = address,
       .folder = folder_.TransferFolder(memory.round, memory.attempt),
       .upload_bit_per_s = terms.pace.upload_bit_per_s,
       .wanted = [this] { return !cancelled_.load(); },
       .on_pause =
           [this, round = memory.round, phase, server, address, said = std::set<std::string>()](
               const std::string& reason, std::chrono::milliseconds pause) mutable {
             if (pause >= kNoticedPause && said.insert(WithoutNumbers(reason)).second) {
               log_.Warning("transfer",
                            fmt::format("round {}: {} waits for {} at {}: {}",
                                        round,
                                        Name(phase),
                                        Name(server),
                                        address,
                                        reason),
                            {{"round", round},
                             {"phase", Key(phase)},
                             {"server", server.id},
                             {"address", address},
                             {"reason", reason}});
             }
             telemetry_.Write("transfer_waits",
                              {{"round", round},
                               {"reason", reason},
                               {"pause_s", static_cast<double>(pause.count()) / 1e3}});
           },
       .patience = {}},
      credentials_);
  return phase == Phase::kUpload ? Upload(memory, &edge) : Download(memory, &edge);
}

// In so many seconds of the wall's clock, if this machine can; 0: as fast as it goes.
Expected<Outcome> UserProcess::TrainLocally(const fleet::UserMemory& memory, double planned_s) {
  const TrainingSettings& training = config_.training;
  const int k = memory.decision.local_layers;
  auto adapter = folder_.Adapter(0, 0);
  if (!adapter) return tl::unexpected(adapter.error());
  const auto examples =
      corpus::TokenizeSamples(train_, base_.tokenizer, base_.chat, training.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  ComputeGate gate(config_.gate_folder, config_.gate_turns);
  const Stopwatch watch;
  PhaseWork work{base_.model,
                 *examples,
                 1,
                 k,
                 training.objective,
                 training.OptionsFor(training.epochs_user, memory.round),
                 *adapter,
                 {}};
  work.identity = IdentityOf(work, model_sha256_, memory.round, training);
  auto phase = KeptPhase::Begin(
      {.path = folder_.CheckpointPath(),
       .interval_s = config_.checkpoint_interval_s,
       .node = config_.node,
       .telemetry = &telemetry_,
       .about = {{"round", memory.round}, {"user", config_.node.id}, {"phase", "local"}},
       .clock_s = [&] { return watch.MeasuredS() - (planned_s > 0.0 ? 0.0 : gate.waited_s()); },
       .meter = meter_ ? &*meter_ : nullptr},
      work);
  if (!phase) return tl::unexpected(phase.error());
  const double flop = train::PhaseTraining::FlopOf(
      work.model, *examples, work.first, work.last, work.objective, work.options, *adapter);
  std::optional<PacedWork> paced;
  if (planned_s > 0.0 && flop > 0.0) {
    paced.emplace(planned_s, phase->training().flop_done() / flop);
  }
  for (bool more = true; more;) {
    const auto entered = gate.Enter([this] { return !cancelled_.load(); });
    if (!entered) return tl::unexpected(entered.error());
    if (!*entered) {
      phase->Keep();
      return Outcome{};  // Nobody asks for it now.
    }
    const auto advanced = phase->Advance();
    if (!advanced) return tl::unexpected(advanced.error());
    more = *advanced;
    if (!paced) continue;
    gate.Leave();
    WaitUntil(paced->Due(phase->training().flop_done() / flop));
  }
  const train::PhaseReport trained = phase->training().Finish(&*adapter);
  if (auto sound = train::CheckDivergence(trained); !sound) return tl::unexpected(sound.error());
  if (auto sound = train::CheckForPeers(*adapter, 1, k, base_.model.config()); !sound) {
    return tl::unexpected(sound.error());
  }
  const Spent spent = phase->spent();
  if (auto kept = folder_.WriteLocal(*adapter, k); !kept) return tl::unexpected(kept.error());
  return Outcome{"", MeasuredOf(spent), {}, {}};
}

// A user that goes on from an earlier round sends all layers: the server's are not fresh either.
Expected<Outcome> UserProcess::Upload(const fleet::UserMemory& memory, EdgeLink* edge) const {
  const int k = memory.decision.local_layers;
  const auto adapter = folder_.Adapter(k, 0);
  if (!adapter) return tl::unexpected(adapter.error());
  const int last = folder_.GoesOn() ? base_.model.config().layers : k;
  const auto sent = edge->Upload(data_, last > 0 ? train::EncodeLayers(*adapter, 1, last) : "");
  if (!sent) return tl::unexpected(sent.error());
  return Outcome{"", {sent->elapsed_s, {}, sent->bytes}, {}, {}};
}

Expected<Outcome> UserProcess::Download(const fleet::UserMemory& memory, EdgeLink* edge) {
  {
    std::unique_lock lock(mutex_);
    ready_changed_.wait(lock, [this] { return ready_ || cancelled_; });
    if (cancelled_) return Outcome{};
  }
  std::string layers;
  const auto received = edge->Download(&layers);
  if (!received) return tl::unexpected(received.error());
  const int k = memory.decision.local_layers, first = config_.training.FirstReturned(k);
  auto adapter = folder_.Adapter(k, 0);  // Tried before it is kept.
  if (!adapter) return tl::unexpected(adapter.error());
  const auto& model = base_.model.config();
  if (auto sound = train::DecodeLayers(layers, first, model.layers, model, &*adapter); !sound) {
    return tl::unexpected(sound.error());
  }
  if (auto kept = folder_.WriteReturned(layers); !kept) return tl::unexpected(kept.error());
  return Outcome{"", {received->elapsed_s, {}, received->bytes}, {}, {}};
}

Expected<Outcome> UserProcess::Verify(const fleet::UserMemory& memory) {
  ComputeGate gate(config_.gate_folder, config_.gate_turns);
  const auto wanted = [this] { return !cancelled_.load(); };
  const auto entered = gate.Enter(wanted);
  if (!entered) return tl::unexpected(entered.error());
  if (!*entered) return Outcome{};
  const Stopwatch watch;
  const auto& model = base_.model.config();
  const int k = memory.decision.local_layers;
  const auto adapter = folder_.Adapter(k, k < model.layers ? config_.training.FirstReturned(k) : 0);
  if (!adapter) return tl::unexpected(adapter.error());
  if (auto sound = train::CheckAdapter(*adapter, model); !sound) {
    return tl::unexpected(sound.error());
  }
  const auto before = QualityOf(base_.model, nullptr, held_out_);
  if (!before) return tl::unexpected(before.error());
  const auto after = QualityOf(base_.model, &*adapter, held_out_);
  if (!after) return tl::unexpected(after.error());
  const auto loss = [&](const train::Adapter& other) -> Expected<double> {
    if (&other == &*adapter) return after->loss.value_or(0.0);
    const auto quality = QualityOf(base_.model, &other, held_out_);
    if (!quality) return tl::unexpected(quality.error());
    return quality->loss.value_or(0.0);
  };
  if (auto kept = folder_.Keep(*adapter, memory.round, held_out_sha256_, loss); !kept) {
    return tl::unexpected(kept.error());
  }
  return Outcome{"", {watch.ElapsedS(), {}, {}}, *before, *after};
}

}  // namespace dashf::runtime
