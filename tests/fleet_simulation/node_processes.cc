#include <fmt/format.h>

#include <tuple>

#include "fleet.h"

namespace dashf::fleet {
namespace {

constexpr Millis kBeat = 2'000;
constexpr Millis kAskAgain = 1'500;

}  // namespace

std::uint64_t Trained(std::string_view how, std::uint64_t from, int k) {
  return Rng(from ^ (static_cast<std::uint64_t>(k) << 56)).Stream(how).Next() | 1U;
}

void UserProcess::Start() {
  if (up() || left_) return;
  World& world = fleet_.world();
  ++life_;
  incarnation_ = static_cast<std::uint64_t>(world.Uniform(1, std::int64_t{1} << 40));
  dirty_ = disk_;
  agent_ = std::make_unique<UserAgent>(disk_.memory, kLayers);
  seen_ = 0;
  leaving_ = false;
  doing_.reset();
  world.Note(Name(node_) + " starts");
  Beat(life_);
  SendReport(life_);
}

void UserProcess::Crash() {
  if (!up()) return;
  fleet_.world().Note(Name(node_) + " crashes");
  agent_.reset();
  ++life_;
}

void UserProcess::LoseDisk() {
  Crash();
  fleet_.world().Note(Name(node_) + " has lost its disk");
  const std::uint64_t adapter = disk_.adapter;  // A copy of it is elsewhere.
  disk_ = {};
  disk_.adapter = adapter;
  disk_.base = adapter;
  disk_lost_ = true;
}

void UserProcess::Beat(int life) {
  if (!up() || life != life_) return;
  const auto incarnation = incarnation_;
  const auto seen = seen_;
  fleet_.world().Send(node_, CoordinatorNode(), [this, incarnation, seen] {
    fleet_.coordinator.Hear(node_, incarnation, seen);
  });
  fleet_.world().After(kBeat, [this, life] { Beat(life); });
}

void UserProcess::HearOrders(const UserOrders& orders, std::int64_t version) {
  if (!up() || version <= seen_) return;
  seen_ = version;
  Do(agent_->OnOrders(orders));
  leaving_ = orders.kind == UserOrders::Kind::kLeave;
  LeaveIfDone();
}

void UserProcess::LeaveIfDone() {
  if (!leaving_ || !agent_->memory().unreported.empty()) return;
  fleet_.world().Note(Name(node_) + " leaves");
  Crash();
  left_ = true;
}

void UserProcess::Do(const std::vector<UserEffect>& effects) {
  dirty_.memory = agent_->memory();
  std::vector<UserEffect> ordered = effects;
  for (const UserEffect& effect : ordered) {
    if (std::holds_alternative<Save>(effect)) {
      if (fleet_.Has(Mistake::kReportBeforeSave)) {
        fleet_.world().After(2'500, [this, life = life_, image = dirty_] {
          if (life == life_) disk_ = image;
        });
      } else {
        disk_ = dirty_;
      }
    } else if (std::holds_alternative<NewRound>(effect)) {
      dirty_.base = dirty_.adapter;
      dirty_.local = 0;
    } else if (const auto* begin = std::get_if<Begin>(&effect)) {
      Carry(begin->phase);
    } else if (std::holds_alternative<Cancel>(effect)) {
      doing_.reset();
    }
  }
}

bool UserProcess::Doing(Phase phase, std::uint32_t round, int attempt) const {
  return up() && doing_ == phase && agent_->memory().round == round &&
         agent_->memory().attempt == attempt;
}

void UserProcess::Carry(Phase phase) {
  World& world = fleet_.world();
  const UserMemory& memory = agent_->memory();
  doing_ = phase;
  world.Note(
      fmt::format("{} begins {} of {}.{}", Name(node_), Key(phase), memory.round, memory.attempt));
  if (phase == Phase::kLocal && !disk_lost_ &&
      fleet_.coordinator.Knows(node_.id, memory.round, memory.attempt, phase)) {
    world.Break(Name(node_) + " repeats what it has reported, though its disk has it");
  }
  if (phase == Phase::kUpload || phase == Phase::kDownload) {
    Ask(phase, life_, memory.round, memory.attempt);
    return;
  }
  world.After(world.Uniform(100, 8'000),
              [this, phase, life = life_, round = memory.round, attempt = memory.attempt] {
                if (life == life_ && Doing(phase, round, attempt)) End(phase, round, attempt);
              });
}

// Until it is answered.
void UserProcess::Ask(Phase phase, int life, std::uint32_t round, int attempt) {
  if (life != life_ || !Doing(phase, round, attempt)) return;
  const UserMemory& memory = agent_->memory();
  const std::string server = memory.server;
  const std::uint64_t content = memory.decision.local_layers > 0 ? dirty_.local : dirty_.base;
  fleet_.world().Send(node_, ServerNode(server), [this, phase, server, round, attempt, content] {
    ServerProcess& process = fleet_.servers.at(server);
    if (phase == Phase::kUpload) {
      process.HearUpload(node_.id, round, attempt, content);
    } else {
      process.HearDownload(node_.id, round, attempt);
    }
  });
  fleet_.world().After(kAskAgain,
                       [this, phase, life, round, attempt] { Ask(phase, life, round, attempt); });
}

// `same`: what the server has of this attempt is what was sent, and nothing else.
void UserProcess::HearCommitted(std::uint32_t round, int attempt, bool same) {
  if (!Doing(Phase::kUpload, round, attempt)) return;
  if (same) return End(Phase::kUpload, round, attempt);
  doing_.reset();
  Do(agent_->OnOutcome({"another upload is committed", {}, {}, {}}));
}

void UserProcess::HearResult(std::uint32_t round, int attempt, std::uint64_t content) {
  if (!Doing(Phase::kDownload, round, attempt)) return;
  dirty_.returned = content;
  End(Phase::kDownload, round, attempt);
}

void UserProcess::End(Phase phase, std::uint32_t round, int attempt) {
  World& world = fleet_.world();
  const int k = agent_->memory().decision.local_layers;
  doing_.reset();
  if (phase == Phase::kLocal) {
    dirty_.local = Trained("local", dirty_.base, k);
  }
  if (phase == Phase::kVerify) {
    const std::uint64_t local = k > 0 ? dirty_.local : dirty_.base;
    if (local != (k > 0 ? Trained("local", dirty_.base, k) : dirty_.base)) {
      world.Break(Name(node_) + " has layers that were trained from something else");
    }
    if (k < kLayers && dirty_.returned != Trained("server", local, k)) {
      world.Break(fmt::format(
          "{} got layers that do not belong to attempt {}.{}", Name(node_), round, attempt));
    }
    dirty_.adapter = Trained("whole", k < kLayers ? dirty_.returned : local, k);
    if (dirty_.finished.contains(round)) {
      world.Break(Name(node_) + " finished a round twice");
    }
    dirty_.finished[round] = dirty_.adapter;
  }
  Do(agent_->OnOutcome({}));
}

// The front of what is not reported, again and again until it is answered.
void UserProcess::SendReport(int life) {
  if (!up() || life != life_) return;
  if (!agent_->memory().unreported.empty()) {
    PhaseFinished report = agent_->memory().unreported.front();
    report.reporter = node_;
    report.incarnation = incarnation_;
    report.user = node_.id;
    fleet_.world().Send(
        node_, CoordinatorNode(), [this, report] { fleet_.coordinator.HearReport(report); });
  }
  fleet_.world().After(1'000, [this, life] { SendReport(life); });
}

void UserProcess::HearVerdict(const PhaseFinished& report, Verdict verdict) {
  if (!up() || agent_->memory().unreported.empty()) return;
  if (report.incarnation != incarnation_) return;  // Who asked has died.
  const PhaseFinished& front = agent_->memory().unreported.front();
  const auto key = [](const PhaseFinished& r) { return std::tie(r.round, r.attempt, r.phase); };
  if (key(front) != key(report)) return;  // An earlier report's answer.
  fleet_.world().Note(
      fmt::format("{} hears of its {}: {}", Name(node_), Key(report.phase), Name(verdict)));
  Do(agent_->OnReported(verdict));
  LeaveIfDone();
}

void ServerProcess::Start() {
  if (up() || left_) return;
  World& world = fleet_.world();
  ++life_;
  incarnation_ = static_cast<std::uint64_t>(world.Uniform(1, std::int64_t{1} << 40));
  if (fleet_.Has(Mistake::kForgetUploads)) {
    for (auto& [user, entry] : disk_)
      entry.stage = SpoolEntry::Stage::kFailed, entry.reported = true;
  }
  agent_ = std::make_unique<ServerAgent>(disk_);
  seen_ = 0;
  world.Note(Name(node_) + " starts");
  Beat(life_);
}

void ServerProcess::Crash() {
  if (!up()) return;
  fleet_.world().Note(Name(node_) + " crashes");
  agent_.reset();
  ++life_;
}

void ServerProcess::LoseDisk() {
  Crash();
  fleet_.world().Note(Name(node_) + " has lost its disk");
  disk_.clear();
  artefacts_.clear();
  trained_.clear();
}

void ServerProcess::Beat(int life) {
  if (!up() || life != life_) return;
  const auto incarnation = incarnation_;
  const auto seen = seen_;
  fleet_.world().Send(node_, CoordinatorNode(), [this, incarnation, seen] {
    fleet_.coordinator.Hear(node_, incarnation, seen);
  });
  fleet_.world().After(kBeat, [this, life] { Beat(life); });
}

void ServerProcess::HearOrders(const ServerOrders& orders, std::int64_t version) {
  if (!up() || version <= seen_) return;
  seen_ = version;
  Do(agent_->OnOrders(orders));
  if (orders.leave) {
    fleet_.world().Note(Name(node_) + " leaves");
    Crash();
    left_ = true;
  }
}

void ServerProcess::Do(const std::vector<ServerEffect>& effects) {
  World& world = fleet_.world();
  for (const ServerEffect& effect : effects) {
    if (const auto* save = std::get_if<SaveEntry>(&effect)) {
      const auto entry = agent_->spool().find(save->user);
      if (entry == agent_->spool().end()) {
        disk_.erase(save->user);
        if (!fleet_.Has(Mistake::kMixAttempts)) artefacts_.erase(save->user);
      } else {
        disk_[save->user] = entry->second;
      }
    } else if (const auto* train = std::get_if<Train>(&effect)) {
      const SpoolEntry entry = agent_->spool().at(train->user);
      world.After(world.Uniform(100, 10'000), [this, user = train->user, entry, life = life_] {
        if (!up() || life != life_) return;
        const SpoolEntry* now = agent_->Find(user, entry.round, entry.attempt);
        if (now == nullptr || now->stage != SpoolEntry::Stage::kUploaded) return;
        Artefacts& artefacts = artefacts_[user];
        artefacts.result = Trained("server", artefacts.upload, entry.decision.local_layers);
        const std::string key = fmt::format("{} {}.{}", user, entry.round, entry.attempt);
        if (++trained_[key] > 1) fleet_.world().Break(key + " was trained to its end twice");
        Do(agent_->OnOutcome(user, entry.round, entry.attempt, {}));
      });
    } else if (const auto* report = std::get_if<ReportTraining>(&effect)) {
      const SpoolEntry& entry = agent_->spool().at(report->user);
      SendReport(report->user, entry.round, entry.attempt, life_);
    }
  }
}

void ServerProcess::SendReport(const std::string& user,
                               std::uint32_t round,
                               int attempt,
                               int life) {
  if (!up() || life != life_) return;
  const SpoolEntry* entry = agent_->Find(user, round, attempt);
  if (entry == nullptr || entry->reported) return;
  PhaseFinished report = agent_->ReportOf(user);
  report.reporter = node_;
  report.incarnation = incarnation_;
  fleet_.world().Send(
      node_, CoordinatorNode(), [this, report] { fleet_.coordinator.HearReport(report); });
  fleet_.world().After(
      1'000, [this, user, round, attempt, life] { SendReport(user, round, attempt, life); });
}

void ServerProcess::HearVerdict(const PhaseFinished& report, Verdict verdict) {
  if (!up() || report.incarnation != incarnation_) return;  // Who asked has died.
  Do(agent_->OnReported(report.user, report.round, report.attempt, verdict));
}

void ServerProcess::HearUpload(const std::string& user,
                               std::uint32_t round,
                               int attempt,
                               std::uint64_t content) {
  if (!up()) return;
  const SpoolEntry* entry = agent_->Find(user, round, attempt);
  const bool mixes = fleet_.Has(Mistake::kMixAttempts) && artefacts_[user].result != 0;
  if (entry == nullptr) return;  // Not yet, or not any more.
  if (entry->stage == SpoolEntry::Stage::kExpected) {
    if (!mixes) artefacts_[user] = {content, 0};
    Do(agent_->OnUploaded(user));
  }
  const bool same = artefacts_[user].upload == content;
  fleet_.world().Send(node_, UserNode(user), [this, user, round, attempt, same] {
    fleet_.users.at(user).HearCommitted(round, attempt, same);
  });
}

void ServerProcess::HearDownload(const std::string& user, std::uint32_t round, int attempt) {
  if (!up()) return;
  const SpoolEntry* entry = agent_->Find(user, round, attempt);
  if (entry == nullptr || entry->stage != SpoolEntry::Stage::kTrained) return;
  const std::uint64_t result = artefacts_[user].result;
  fleet_.world().Send(node_, UserNode(user), [this, user, round, attempt, result] {
    fleet_.users.at(user).HearResult(round, attempt, result);
  });
}

}  // namespace dashf::fleet
