#include "study/jobs.h"

#include <fmt/format.h>

#include <set>

#include "base/termination.h"
#include "study/average.h"
#include "study/workers.h"
#include "train/evaluate.h"
#include "train/peft_io.h"

namespace dashf::study {
namespace {

enum class JobKind { kPhases, kPooled, kAverages };

struct Job {
  JobKind kind = JobKind::kPhases;
  const Repetition* repetition = nullptr;
  std::size_t user = 0;       // Of kPhases.
  std::vector<Phase> phases;  // Of kPhases.
  std::string name;
};

// The jobs of one study, and how each is carried out.
class Jobs {
 public:
  Jobs(const train::Model& model, const Design& design, const StudyRun& run)
      : model_(model), design_(design), run_(run) {}

  // The references come first: all else is held against them.
  std::vector<Job> List(const std::vector<Repetition>& repetitions) const;
  std::vector<Job> ListAverages(const std::vector<Repetition>& repetitions) const;
  Expected<bool> IsDone(const Job& job, const Results& results) const;
  Expected<std::vector<Outcome>> Do(const Job& job) const;

 private:
  int layers() const { return model_.config().layers; }
  std::filesystem::path AdapterFolder(const Job& job, std::size_t user) const {
    return run_.out / "adapters" / fmt::to_string(job.repetition->seed) / fmt::format("u{}", user);
  }
  std::vector<std::string> Names(const Job& job) const;
  Expected<std::vector<Outcome>> DoPhases(const Job& job) const;
  Expected<std::vector<Outcome>> DoPooled(const Job& job) const;
  Expected<std::vector<Outcome>> DoAverages(const Job& job) const;
  Expected<std::vector<Outcome>> ForEveryUser(const Job& job,
                                              const std::string& name,
                                              const train::Adapter& adapter) const;

  const train::Model& model_;
  const Design& design_;
  const StudyRun& run_;
};

std::vector<Job> Jobs::List(const std::vector<Repetition>& repetitions) const {
  std::vector<Job> jobs;
  const std::vector<Arm> arms = ArmsOf(design_, layers());
  for (const Repetition& repetition : repetitions) {
    for (std::size_t user = 0; user < repetition.users.size(); ++user) {
      const UserData& data = repetition.users[user];
      std::set<std::string> listed;
      const auto add = [&](const std::vector<Phase>& phases) {
        std::string text = Text(phases, layers());
        if (!listed.insert(text).second) return;
        jobs.push_back({JobKind::kPhases, &repetition, user, phases, std::move(text)});
      };
      add(Reference(design_, data));
      for (const Arm& arm : arms) {
        const std::vector<Phase> phases = study::PhasesOf(arm, design_, layers(), data);
        add(phases);
        add(ReferenceOfEqualFlop(phases, design_, model_.config(), data));
      }
    }
    if (design_.averages && repetition.users.size() > 1) {
      jobs.push_back({JobKind::kPooled, &repetition, 0, {}, kPooled});
    }
  }
  return jobs;
}

std::vector<Job> Jobs::ListAverages(const std::vector<Repetition>& repetitions) const {
  std::vector<Job> jobs;
  for (const Repetition& repetition : repetitions) {
    if (!design_.averages || repetition.users.size() < 2) continue;
    jobs.push_back({JobKind::kAverages, &repetition, 0, {}, "averages"});
  }
  return jobs;
}

std::vector<std::string> Jobs::Names(const Job& job) const {
  if (job.kind != JobKind::kAverages) return {job.name};
  const bool lora = design_.adapter.kind == train::AdapterKind::kLora;
  return lora ? std::vector<std::string>{kMeanOfFactors, kMeanOfProducts}
              : std::vector<std::string>{kMeanOfFactors};
}

Expected<bool> Jobs::IsDone(const Job& job, const Results& results) const {
  const bool one = job.kind == JobKind::kPhases;
  const std::size_t first = one ? job.user : 0;
  const std::size_t last = one ? job.user + 1 : job.repetition->users.size();
  for (std::size_t user = first; user < last; ++user) {
    for (const std::string& name : Names(job)) {
      const auto found = results.Find(
          job.repetition->seed, static_cast<int>(user), name, job.repetition->users[user].sha256);
      if (!found) return tl::unexpected(found.error());
      if (*found == nullptr) return false;
    }
  }
  return true;
}

Expected<std::vector<Outcome>> Jobs::Do(const Job& job) const {
  if (job.kind == JobKind::kPhases) return DoPhases(job);
  return job.kind == JobKind::kPooled ? DoPooled(job) : DoAverages(job);
}

Expected<std::vector<Outcome>> Jobs::DoPhases(const Job& job) const {
  const UserData& data = job.repetition->users[job.user];
  const std::uint64_t seed = job.repetition->seed;
  auto adapter = train::InitialAdapter(model_.config(), design_.adapter, seed);
  if (!adapter) return tl::unexpected(adapter.error());
  auto outcome = CarryOut(model_, data, job.phases, design_.training, seed, &*adapter);
  if (!outcome) return tl::unexpected(outcome.error());
  outcome->user = static_cast<int>(job.user);
  if (job.phases == Reference(design_, data)) {
    const auto saved =
        train::SaveAdapter(*adapter, model_.config(), run_.base_name, AdapterFolder(job, job.user));
    if (!saved) return tl::unexpected(saved.error());
  }
  return std::vector<Outcome>{std::move(*outcome)};
}

Expected<std::vector<Outcome>> Jobs::DoPooled(const Job& job) const {
  UserData pooled;
  for (const UserData& user : job.repetition->users) {
    pooled.train.insert(pooled.train.end(), user.train.begin(), user.train.end());
    pooled.data_bytes += user.data_bytes;
  }
  pooled.test = job.repetition->users.front().test;  // Its quality is asked for below.
  const std::uint64_t seed = job.repetition->seed;
  auto adapter = train::InitialAdapter(model_.config(), design_.adapter, seed);
  if (!adapter) return tl::unexpected(adapter.error());
  const auto trained =
      CarryOut(model_, pooled, Reference(design_, pooled), design_.training, seed, &*adapter);
  if (!trained) return tl::unexpected(trained.error());
  return ForEveryUser(job, kPooled, *adapter);
}

Expected<std::vector<Outcome>> Jobs::DoAverages(const Job& job) const {
  std::vector<train::Adapter> own;
  for (std::size_t user = 0; user < job.repetition->users.size(); ++user) {
    auto adapter = train::LoadAdapter(AdapterFolder(job, user), model_.config());
    if (!adapter) return tl::unexpected(adapter.error());
    own.push_back(std::move(*adapter));
  }
  std::vector<Outcome> outcomes;
  for (const std::string& name : Names(job)) {
    const train::Adapter mean = name == kMeanOfFactors ? MeanOfFactors(own) : MeanOfProducts(own);
    const auto some = ForEveryUser(job, name, mean);
    if (!some) return some;
    outcomes.insert(outcomes.end(), some->begin(), some->end());
  }
  return outcomes;
}

Expected<std::vector<Outcome>> Jobs::ForEveryUser(const Job& job,
                                                  const std::string& name,
                                                  const train::Adapter& adapter) const {
  std::vector<Outcome> outcomes;
  for (std::size_t user = 0; user < job.repetition->users.size(); ++user) {
    const UserData& data = job.repetition->users[user];
    const auto quality = train::Evaluate(model_, &adapter, data.test);
    if (!quality) return tl::unexpected(quality.error());
    outcomes.push_back({.seed = job.repetition->seed,
                        .user = static_cast<int>(user),
                        .training = name,
                        .data_sha256 = data.sha256,
                        .loss = quality->loss,
                        .exact_match = quality->exact_match});
  }
  return outcomes;
}

// What a child hands back.
std::string Lines(const std::vector<Outcome>& outcomes) {
  std::string text;
  for (const Outcome& outcome : outcomes) text += ToJson(outcome).dump() + "\n";
  return text;
}

Expected<std::vector<Outcome>> ParseLines(std::string_view text) {
  std::vector<Outcome> outcomes;
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    auto outcome = ParseOutcome("job", text.substr(begin, end - begin));
    if (!outcome) return tl::unexpected(outcome.error());
    outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

// Carries out those of `listed` that the results lack.
Expected<void> CarryOut(const Jobs& jobs,
                        const std::vector<Job>& listed,
                        const StudyRun& run,
                        Results* results,
                        Tally* tally) {
  const Stopwatch watch;
  std::vector<const Job*> due;
  tally->jobs += static_cast<int>(listed.size());
  for (const Job& job : listed) {
    const auto done = jobs.IsDone(job, *results);
    if (!done) return tl::unexpected(done.error());
    if (*done) ++tally->done;
    if (!*done) due.push_back(&job);
  }
  Expected<void> kept;
  const auto body = [&](std::size_t i) -> Expected<std::string> {
    const auto outcomes = jobs.Do(*due[i]);
    if (!outcomes) return tl::unexpected(outcomes.error());
    return Lines(*outcomes);
  };
  const auto on_end = [&](std::size_t i, const Expected<std::string>& lines) {
    const Job& job = *due[i];
    auto outcomes = lines ? ParseLines(*lines) : tl::unexpected(lines.error());
    if (outcomes) kept = results->Append(*outcomes);
    ++(outcomes ? tally->done : tally->failed);
    const bool own = job.kind == JobKind::kPhases;
    run.progress(fmt::format("{}/{} after {:.0f} s, seed {}{}: {}: {}",
                             tally->done + tally->failed,
                             tally->jobs,
                             watch.ElapsedS(),
                             job.repetition->seed,
                             own ? fmt::format(" u{}", job.user) : "",
                             job.name,
                             outcomes ? fmt::format("held-out loss {:.4f}", outcomes->front().loss)
                                      : "FAILED: " + outcomes.error().Text()));
  };
  const auto stopped = [&] { return !kept || run.stopped(); };
  if (auto ran = RunInChildren(due.size(), run.processes, body, on_end, stopped); !ran) return ran;
  return kept;
}

}  // namespace

Expected<Tally> CarryOutAll(const train::Model& model,
                            const std::vector<Repetition>& repetitions,
                            const Design& design,
                            const StudyRun& run,
                            Results* results) {
  const Jobs jobs(model, design, run);
  Tally tally;
  // The averages need the references' adapters.
  for (const auto& listed : {jobs.List(repetitions), jobs.ListAverages(repetitions)}) {
    if (run.stopped()) break;
    if (auto done = CarryOut(jobs, listed, run, results, &tally); !done) {
      return tl::unexpected(done.error());
    }
  }
  return tally;
}

}  // namespace dashf::study
