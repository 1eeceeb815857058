// Rounds: what is planned for them, and what is written of them.
#include <fmt/format.h>

#include <ctime>

#include "base/counted.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/termination.h"
#include "runtime/coordinator_process.h"
#include "runtime/failpoint.h"
#include "runtime/fleet_record.h"
#include "runtime/plan_scope.h"
#include "scenario/scenario_io.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kLookBack = 100;

}  // namespace

fs::path Coordinator::FolderOf(std::uint32_t round) const {
  return fs::path(config_.coordinator_kit.out_folder) / "rounds" / fmt::format("{:04}", round);
}

// The round's first plan has its folder; later ones are of those who had not ended by then.
fs::path Coordinator::FolderOf(const fleet::MakePlan& wanted) const {
  const fs::path round = FolderOf(wanted.round);
  std::error_code failed;
  if (wanted.plan == 1 || !fs::exists(round / "plan.json", failed)) return round;
  return round / fmt::format("replan-{}", wanted.plan - 1);
}

// What a plan departs from: the round's latest, or the round's before it, which has everybody.
fs::path Coordinator::StandingPlan(const fleet::MakePlan& wanted) const {
  std::error_code failed;
  std::vector<fs::path> candidates;
  for (std::uint32_t plan = wanted.plan - 1; plan > 0; --plan) {
    candidates.push_back(FolderOf(wanted.round) / fmt::format("replan-{}", plan - 1));
  }
  candidates.push_back(FolderOf(wanted.round));
  for (std::uint32_t round = wanted.round; round > 1; --round) {
    candidates.push_back(FolderOf(round - 1));
    if (candidates.size() > kLookBack) break;  // At rounds that had no plan.
  }
  for (const fs::path& folder : candidates) {
    if (folder != FolderOf(wanted) && fs::exists(folder / "plan.json", failed)) {
      return folder / "plan.json";
    }
  }
  return {};
}

// The round's own, and the latest's place.
Expected<void> Coordinator::WriteBoth(const fs::path& folder,
                                      const char* name,
                                      const std::string& text) const {
  if (auto done = WriteFileAtomically(folder / name, text); !done) return done;
  return WriteFileAtomically(fs::path(config_.coordinator_kit.out_folder) / name, text);
}

// Planning takes its time: on a thread of its own, so that leases, reports and signals do not wait.
void Coordinator::StartPlanning(const fleet::MakePlan& wanted) {
  PlanScope scope = ScopeOf(state(), deployment_.scenario());
  PlanRequest& request = scope.request;
  unreachable_ = std::move(scope.unreachable);
  without_slot_ = std::move(scope.without_slot);
  for (const std::string& id : scope.outside) {
    log_.Warning(
        "planning",
        fmt::format("user {} goes on with what it has been given; the scenario has no place for it",
                    id),
        {{"user", id}});
  }
  factors_ =
      config_.coordinator_kit.learn ? TakeFactors(state(), &request.scenario) : LearntFactors{};
  if (request.scenario.users.empty()) return TakePlan(wanted, request.scenario, PlannedRound{});
  PutAside(wanted.round);
  const std::string text = WriteScenario(request.scenario);
  request.scenario_sha256 = Sha256Hex(text);
  request.folder = plan_folder_ = FolderOf(wanted);
  request.standing = StandingPlan(wanted);
  const fs::path round_folder = FolderOf(wanted.round);
  const auto written = request.folder == round_folder
                           ? WriteBoth(round_folder, "scenario.json", text)
                           : WriteFileAtomically(request.folder / "scenario.json", text);
  if (!written) {
    broken_ = written.error();
    return;
  }
  log_.Info("planning",
            fmt::format("round {}: planning {} on {} with {}",
                        wanted.round,
                        Counted(request.scenario.users.size(), "user"),
                        Counted(request.scenario.servers.size(), "server"),
                        config_.coordinator_kit.method),
            {{"round", wanted.round}, {"method", config_.coordinator_kit.method}});
  scenario_sha256_ = request.scenario_sha256;
  Failpoint(config_.node, "planning");
  if (planning_.joinable()) planning_.join();
  planning_ = std::thread([this, wanted, request = std::move(request)] {
    const Stopwatch watch;
    const std::clock_t begun = std::clock();
    auto planned = planner_(request);
    if (planned) {
      planned->elapsed_s = watch.MeasuredS();
      planned->cpu_s = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    }
    Post([this, wanted, scenario = request.scenario, planned = std::move(planned)] {
      TakePlan(wanted, scenario, planned);
    });
  });
}

void Coordinator::TakePlan(const fleet::MakePlan& wanted,
                           const Scenario& scenario,
                           const Expected<PlannedRound>& planned) {
  if (!planned && planned.error().kind == ErrorKind::kIo) {
    broken_ = planned.error();  // Of its disk, not of the plan, which it owes when it starts again.
    return;
  }
  if (!planned) {
    Queue(fleet::PlanFailed{wanted.round, wanted.plan, planned.error().Text()}, {});
    return;
  }
  fleet::PlanMade made{wanted.round, wanted.plan, {}};
  for (std::size_t n = 0; n < planned->plan.size(); ++n) {
    const Decision& decision = planned->plan[n];
    const std::string& user = scenario.users[n].id;
    const std::string& server = scenario.servers.at(static_cast<std::size_t>(decision.server)).id;
    made.assignments.push_back(
        {user, server, decision, planned->predicted_s[n], "", false, factors_.For(user, server)});
  }
  for (const std::string& id : unreachable_) {
    made.assignments.push_back({id, "", {}, {}, "no server within its reach is here"});
  }
  for (const std::string& id : without_slot_) {
    made.assignments.push_back({id, "", {}, {}, "", true});
  }
  if (const auto text = ReadFile(plan_folder_ / "plan.json");
      text && plan_folder_ == FolderOf(wanted.round)) {
    [[maybe_unused]] const auto copied =
        WriteFileAtomically(fs::path(config_.coordinator_kit.out_folder) / "plan.json", *text);
  }
  if (!planned->standing_refused.empty()) {
    log_.Info("planning",
              fmt::format("planned afresh: {}", planned->standing_refused),
              {{"round", wanted.round}, {"reason", planned->standing_refused}});
  }
  Json fields = {{"method", config_.coordinator_kit.method},
                 {"scenario_sha256", scenario_sha256_},
                 {"scr", planned->scr},
                 {"scr_upper", planned->scr_upper ? Json(*planned->scr_upper) : Json()},
                 {"elapsed_s", planned->elapsed_s},
                 {"cpu_s", planned->cpu_s}};
  const auto handovers = CountHandovers(made);
  if (handovers) fields["handovers"] = *handovers;
  if (!without_slot_.empty()) fields["without_slot"] = without_slot_.size();
  Note("planned", std::move(fields));
  Failpoint(config_.node, "planned");
  std::string line = fmt::format("{} {} a plan",
                                 Counted(scenario.users.size(), "user"),
                                 scenario.users.size() == 1 ? "has" : "have");
  if (handovers) line += fmt::format(", {} with another server than before", *handovers);
  if (!without_slot_.empty()) {
    line += fmt::format(", {} wait until one of them has ended, for servers have no more slots",
                        without_slot_.size());
  }
  Queue(std::move(made), [this, line, round = wanted.round](const fleet::StepResult& result) {
    if (result.verdict != fleet::Verdict::kAccepted) return;
    log_.Info("planning", line, {{"round", round}});
    const auto emulated = EmulationOf(*state().round, deployment_.scenario(), emulation_);
    if (emulated) log_.Info("planning", EmulationLine(*emulated), {{"round", round}});
  });
}

// Of the users with a plan, how many had another server in their last attempt; none: nobody had
// one.
std::optional<int> Coordinator::CountHandovers(const fleet::PlanMade& plan) const {
  std::optional<int> count;
  for (const fleet::Assignment& assignment : plan.assignments) {
    if (assignment.server.empty()) continue;
    for (const auto* round : {&state().round, &state().last}) {
      if (!*round) continue;
      const auto task = (*round)->tasks.find(assignment.user);
      if (task == (*round)->tasks.end() || task->second.server.empty()) continue;
      count = count.value_or(0) + (task->second.server == assignment.server ? 0 : 1);
      break;
    }
  }
  return count;
}

// What is on record stays as it was recorded.
bool Coordinator::TakeRecord(const fleet::Round& round) {
  const fs::path path = FolderOf(round.number) / "round.json";
  const auto text = ReadFile(path);
  auto record = text ? ParseRound(path.string(), *text) : tl::unexpected(text.error());
  if (!record) return false;
  const auto latest = fs::path(config_.coordinator_kit.out_folder) / "round.json";
  if (auto written = WriteFileAtomically(latest, *text); !written) broken_ = written.error();
  end_.record = std::move(*record);
  end_.rounds = round.number;
  return true;
}

// Folders of all rounds but the latest may be.
bool Coordinator::IsRemoved(std::uint32_t round) const {
  std::error_code failed;
  return round < state().rounds_begun && !fs::exists(FolderOf(round), failed);
}

// A round that has not ended has no record: what lies there is of rounds that a log which was put
// back from a copy has lost.
void Coordinator::PutAside(std::uint32_t round) {
  const fs::path folder = FolderOf(round);
  std::error_code failed;
  if (!fs::exists(folder / "round.json", failed)) return;
  fs::path aside;
  for (int i = 1; aside.empty() || fs::exists(aside, failed); ++i) {
    aside = fmt::format("{}-of-lost-log-{}", folder.string(), i);
  }
  fs::copy(folder, aside, fs::copy_options::recursive, failed);
  if (!failed) fs::remove(folder / "round.json", failed);
  if (failed) {
    broken_ = Error{ErrorKind::kIo, folder.string(), failed.message()};
    return;
  }
  log_.Warning(
      "log",
      fmt::format("the log does not know round {} of which there is a record: it is now in {}",
                  round,
                  aside.string()),
      {{"round", round}, {"folder", aside.string()}});
}

void Coordinator::EndRound(const fleet::Round& round) {
  PutAside(round.number);
  Failpoint(config_.node, "round_ended");
  for (const auto& [id, task] : round.tasks) {
    Note("user_ended", {{"round", round.number}, {"user", id}, {"failure", task.failure}});
    if (task.state == fleet::Task::State::kFailed) {
      log_.Warning("rounds",
                   fmt::format("user {} FAILED: {}", id, task.failure),
                   {{"round", round.number}, {"user", id}, {"reason", task.failure}});
    }
  }
  RoundRecord record =
      RecordOf(round, state(), deployment_.scenario(), emulation_, config_.coordinator_kit.learn);
  if (const auto text = ReadFile(FolderOf(round.number) / "scenario.json")) {
    record.scenario_sha256 = Sha256Hex(*text);
  }
  record.model = config_.model_folder;
  record.seed = config_.training.seed;
  record.number = round.number;
  log_.Info("rounds",
            fmt::format("round {} has ended: {}",
                        round.number,
                        record.Done() ? "every user is done" : "not every user is done"),
            {{"round", round.number}, {"success", record.Done()}});
  Note("round_ended", {{"round", round.number}, {"success", record.Done()}});
  if (auto written = WriteBoth(FolderOf(round.number), "round.json", WriteRound(record));
      !written) {
    broken_ = written.error();
  }
  Failpoint(config_.node, "recorded");
  end_.record = std::move(record);
  end_.rounds = round.number;
  if (!watch_begun_ || state().history.empty()) return;
  if (state().history.back().number == round.number) watch_->round_ended(state().history.back());
}

}  // namespace dashf::runtime
