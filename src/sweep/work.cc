#include "sweep/work.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/parallel.h"
#include "scenario/scenario_io.h"

namespace dashf::sweep {
namespace {

void SendText(int to, const std::string& text, Ranks* ranks) {
  const std::uint64_t size = text.size();
  ranks->Send(to, std::as_bytes(std::span(&size, 1)));
  if (size > 0) ranks->Send(to, std::as_bytes(std::span(text)));
}

std::string ReceiveText(int from, Ranks* ranks) {
  std::uint64_t size = 0;
  ranks->Receive(from, std::as_writable_bytes(std::span(&size, 1)));
  std::string text(size, '\0');
  if (size > 0) ranks->Receive(from, std::as_writable_bytes(std::span(text)));
  return text;
}

std::string WriteTask(const Task& task) {
  nlohmann::ordered_json json{
      {"scenario", WriteScenario(task.scenario)}, {"seed", task.seed}, {"methods", task.methods}};
  if (std::isfinite(task.time_limit_s)) json["time_limit_s"] = task.time_limit_s;
  return json.dump();
}

// What rank 0 wrote, which this program trusts as it trusts itself.
Task ReadTask(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  auto scenario = ParseScenario("rank 0's scenario", json.at("scenario").get<std::string>());
  DASHF_CHECK(scenario);
  return {std::move(*scenario),
          json.at("seed").get<std::uint64_t>(),
          json.at("methods").get<std::vector<std::string>>(),
          json.value("time_limit_s", std::numeric_limits<double>::infinity())};
}

std::vector<Outcome> Failures(const Design& design, const std::string& why) {
  std::vector<Outcome> outcomes;
  for (const std::string& method : design.methods) outcomes.push_back({method, false, why});
  return outcomes;
}

Expected<Task> TaskOf(const Design& design, const Job& job) {
  auto scenario = Generate(design.At(job.point), job.seed);
  if (!scenario) return tl::unexpected(scenario.error());
  return Task{std::move(*scenario), job.seed, design.methods, design.time_limit_s};
}

class WorkList {
 public:
  WorkList(const Design& design, const WorkOptions& options, Results* results)
      : options_(options), results_(*results) {
    const std::vector<Job> all = JobsOf(design);
    of_ = all.size();
    for (const Job& job : all) {
      if (results->Find(job) == nullptr) jobs_.push_back(job);
    }
    done_ = of_ - jobs_.size();
  }

  const std::vector<Job>& jobs() const { return jobs_; }
  bool ended() const { return ended_; }
  Expected<void> error() const { return error_; }

  void Enter(const Job& job, std::vector<Outcome> outcomes) {
    const std::lock_guard lock(mutex_);
    if (!error_) return;
    error_ = results_.Add(job, std::move(outcomes));
    if (!error_) {
      ended_ = true;
      return;
    }
    ++done_;
    if (options_.on_done) options_.on_done(done_, of_, job);
  }

 private:
  const WorkOptions& options_;
  Results& results_;
  std::vector<Job> jobs_;
  std::mutex mutex_;
  std::size_t done_ = 0, of_ = 0;
  std::atomic<bool> ended_ = false;
  Expected<void> error_;
};

std::vector<Outcome> CarryOut(const Design& design, const Job& job, const Solve& solve) {
  const auto task = TaskOf(design, job);
  return task ? solve(*task) : Failures(design, task.error().Text());
}

// Round by round: each rank one scenario. Neighbours in the list take about equally long.
void ShareOut(const Design& design, const Solve& solve, Ranks* ranks, WorkList* list) {
  const std::vector<Job>& jobs = list->jobs();
  const auto count = static_cast<std::size_t>(ranks->count());
  for (std::size_t begin = 0; begin < jobs.size() && !list->ended(); begin += count) {
    const std::size_t end = std::min(begin + count, jobs.size());
    std::vector<std::optional<std::vector<Outcome>>> known(end - begin);
    for (std::size_t i = begin + 1; i < end; ++i) {
      const auto task = TaskOf(design, jobs[i]);
      if (task) {
        SendText(static_cast<int>(i - begin), WriteTask(*task), ranks);
      } else {
        known[i - begin] = Failures(design, task.error().Text());
      }
    }
    list->Enter(jobs[begin], CarryOut(design, jobs[begin], solve));
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (known[i - begin]) {
        list->Enter(jobs[i], std::move(*known[i - begin]));
        continue;
      }
      auto read = ParseLine("a rank's results", ReceiveText(static_cast<int>(i - begin), ranks));
      DASHF_CHECK(read);
      list->Enter(jobs[i], std::move(read->second));
    }
  }
  for (int rank = 1; rank < ranks->count(); ++rank) SendText(rank, "", ranks);
}

}  // namespace

Expected<void> WorkOff(const Design& design,
                       const Solve& solve,
                       const WorkOptions& options,
                       Results* results) {
  WorkList list(design, options, results);
  if (options.ranks != nullptr) {
    ShareOut(design, solve, options.ranks, &list);
  } else {
    ParallelFor(list.jobs().size(), options.jobs, [&](std::size_t i) {
      if (!list.ended()) list.Enter(list.jobs()[i], CarryOut(design, list.jobs()[i], solve));
    });
  }
  return list.error();
}

void WorkForRankZero(const Solve& solve, Ranks* ranks) {
  for (;;) {
    const std::string text = ReceiveText(0, ranks);
    if (text.empty()) return;
    const Task task = ReadTask(text);
    SendText(0, WriteLine({{}, task.seed}, solve(task)), ranks);
  }
}

}  // namespace dashf::sweep
