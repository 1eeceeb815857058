#include "runtime/references.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace dashf::runtime {
namespace {

// One training and whom it is assessed for.
struct Job {
  std::string name;
  std::vector<corpus::Example> examples;
  std::vector<std::size_t> users;
  std::vector<ReferenceRecord>* records;
};

class Trainer {
 public:
  Trainer(const BaseModel& base,
          const TrainingSettings& training,
          const ReferenceOptions& options,
          const ProgressLine& progress)
      : base_(base), training_(training), options_(options), progress_(progress) {}

  Expected<void> Do(const Job& job,
                    const std::vector<ReferenceUser>& users,
                    const std::vector<train::HeldOut>& held_out) {
    train::TrainOptions settings = training_.OptionsFor(
        training_.epochs_user + training_.epochs_server + training_.epochs_joint);
    settings.on_step = [this](const train::StepReport&) { return !options_.cancelled(); };
    auto adapter = train::InitialAdapter(base_.model.config(), training_.adapter, training_.seed);
    if (!adapter) return tl::unexpected(adapter.error());
    const auto trained = train::TrainAllLayers(base_.model, job.examples, settings, &*adapter);
    if (!trained) return tl::unexpected(trained.error());
    for (const std::size_t user : job.users) {
      if (options_.cancelled()) return {};
      const auto quality = QualityOf(base_.model, &*adapter, held_out[user]);
      if (!quality) return tl::unexpected(quality.error());
      const std::lock_guard lock(mutex_);
      (*job.records)[user] = {users[user].id, *quality};
    }
    const std::lock_guard lock(mutex_);
    progress_(fmt::format(
        "reference {}: {} steps in {:.1f} s", job.name, trained->steps, trained->elapsed_s));
    return {};
  }

 private:
  const BaseModel& base_;
  const TrainingSettings& training_;
  const ReferenceOptions& options_;
  const ProgressLine& progress_;
  std::mutex mutex_;
};

}  // namespace

Expected<References> ComputeReferences(const BaseModel& base,
                                       const std::vector<ReferenceUser>& users,
                                       const std::vector<std::string>& labels,
                                       const TrainingSettings& training,
                                       const ReferenceOptions& options,
                                       const ProgressLine& progress) {
  References references;
  references.all_server.resize(options.all_server ? users.size() : 0);
  references.centralised.resize(options.centralised ? users.size() : 0);
  std::vector<train::HeldOut> held_out;
  std::vector<Job> jobs;
  if (options.centralised) jobs.push_back({"centralised", {}, {}, &references.centralised});
  for (std::size_t n = 0; n < users.size(); ++n) {
    auto prepared = train::PrepareHeldOut(
        users[n].test, labels, base.tokenizer, base.chat, training.tokens_max);
    if (!prepared) return tl::unexpected(prepared.error());
    held_out.push_back(std::move(*prepared));
    auto examples =
        corpus::TokenizeSamples(users[n].train, base.tokenizer, base.chat, training.tokens_max);
    if (!examples) return tl::unexpected(examples.error());
    if (options.centralised) {
      jobs.front().examples.insert(jobs.front().examples.end(), examples->begin(), examples->end());
      jobs.front().users.push_back(n);
    }
    if (!options.all_server) continue;
    jobs.push_back(
        {"all-server for " + users[n].id, std::move(*examples), {n}, &references.all_server});
  }
  // The longest job, the centralised one, comes first.
  Trainer trainer(base, training, options, progress);
  std::atomic<std::size_t> next = 0;
  std::vector<Expected<void>> outcomes(jobs.size());
  const auto work = [&] {
    for (std::size_t job = next++; job < jobs.size() && !options.cancelled(); job = next++) {
      outcomes[job] = trainer.Do(jobs[job], users, held_out);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (options.cancelled()) return References{};
  for (const Expected<void>& outcome : outcomes) {
    if (!outcome) return tl::unexpected(outcome.error());
  }
  return references;
}

}  // namespace dashf::runtime
