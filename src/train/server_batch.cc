#include "train/server_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/termination.h"
#include "llama/engine.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/flop.h"
#include "train/hidden_rows.h"
#include "train/processor_time.h"
#include "train/sequences.h"
#include "train/step_gradient.h"
#include "train/trained_parameters.h"
#include "train/trainer.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

using Examples = std::vector<corpus::Example>;

// One user on its way.
struct Member {
  std::size_t user = 0;
  const BatchedUser* of = nullptr;
  Phase phase;
  std::vector<float> parameters, gradient;  // Of all layers.
  std::size_t first = 0;                    // Where the trained ones begin.
  std::vector<float> sum;                   // The step's gradient, of the trained ones.
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<HiddenRows> hidden;
  double flop_per_token = 0.0;
  double cpu_s = 0.0;
  const std::vector<std::size_t>* step = nullptr;
  double loss = 0.0;
};

// The `round`-th batch of the member's step; empty once there is none.
std::span<const std::size_t> BatchOf(const Member& member, std::size_t round) {
  const auto size = static_cast<std::size_t>(member.of->options.batch_size);
  const std::span<const std::size_t> step = *member.step;
  const std::size_t begin = std::min(round * size, step.size());
  return step.subspan(begin, std::min(size, step.size() - begin));
}

Expected<void> Check(const Model& model, const BatchedUser& user, const AdapterConfig& config) {
  const int layers = model.config().layers;
  if (user.k < 0 || user.k > layers) {
    return Fail(
        ErrorKind::kBadInput, "split", fmt::format("must be in [0, {}], got {}", layers, user.k));
  }
  if (auto sound = user.options.Validate(); !sound) return sound;
  if (auto sound = CheckAdapter(*user.adapter, model.config()); !sound) return sound;
  if (auto sound = CheckExamples(*user.examples, model.config()); !sound) return sound;
  if (user.options.from != nullptr) {
    return Fail(ErrorKind::kBadInput, "state", "a batch of users begins at the beginning");
  }
  if (user.adapter->config == config) return {};
  return Fail(ErrorKind::kBadInput, "adapter", "must be of the batch's configuration");
}

class ServerBatch {
 public:
  ServerBatch(const Model& model, std::span<const BatchedUser> users, const UserEnded& ended)
      : model_(model),
        users_(users),
        ended_(ended),
        layout_(LayoutOf(users.front().adapter, model.config())) {}

  void Run() {
    Admit();
    if (members_.empty()) return;
    const auto ran = WithinMemory("training", [this]() -> Expected<void> {
      TakeSteps();
      return {};
    });
    if (ran) return;
    for (const Member& member : members_) ended_(member.user, tl::unexpected(ran.error()));
  }

 private:
  // Users whose layers a batch has need to be in ascending order of k.
  void Admit() {
    for (std::size_t u = 0; u < users_.size(); ++u) {
      const double cpu_before_s = ProcessCpuS();
      const auto admitted = WithinMemory("training", [&] { return AdmitOne(u); });
      if (!admitted) {
        ended_(u, tl::unexpected(admitted.error()));
      } else if (users_[u].k == model_.config().layers) {
        ended_(u, PhaseReport{});
      } else {
        members_.back().cpu_s = ProcessCpuS() - cpu_before_s;
      }
    }
    std::stable_sort(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
      return a.of->k < b.of->k;
    });
  }

  Expected<void> AdmitOne(std::size_t u) {
    const BatchedUser& user = users_[u];
    const int layers = model_.config().layers;
    auto sound = Check(model_, user, users_.front().adapter->config);
    if (!sound || user.k == layers) return sound;
    Member member;
    member.user = u;
    member.of = &user;
    member.phase = {user.k, layers, layers, user.k, user.options.cache_folder};
    member.parameters = AllParameters(user.adapter);
    member.gradient.resize(member.parameters.size());
    member.first = static_cast<std::size_t>(layout_.layers[static_cast<std::size_t>(user.k)].begin);
    member.trainer = std::make_unique<Trainer>(
        *user.examples, user.options, clock_, InitialState(*user.adapter, member.phase));
    member.sum.resize(member.trainer->state().parameters.size());
    if (user.k > 0) {
      member.hidden = std::make_unique<HiddenRows>(model_.weights(),
                                                   layout_,
                                                   member.parameters,
                                                   *user.examples,
                                                   user.k,
                                                   user.options.batch_size,
                                                   user.options.cache_folder);
      while (member.hidden->ComputeNext()) {
      }
    }
    const Volume volume = VolumeOf(*user.examples, model_.config().sliding_window);
    const PhaseFlop flop = FlopOfLayers(model_.config(),
                                        user.adapter->config,
                                        volume,
                                        user.k + 1,
                                        layers,
                                        UserObjective::kFullDepth);
    member.flop_per_token = flop.pass / volume.tokens;
    members_.push_back(std::move(member));
    return {};
  }

  void TakeSteps() {
    std::int64_t positions = 0;
    for (const Member& member : members_) {
      positions = std::max(positions, LongestOf(*member.of->examples));
    }
    const bool recompute = std::ranges::any_of(
        members_, [](const Member& member) { return member.of->options.recompute; });
    const int layers = model_.config().layers;
    begin_ = members_.front().of->k;
    llama::Engine<float> engine(model_.weights(),
                                layout_,
                                {begin_, begin_, layers, layers},
                                {.keep = recompute ? llama::Keep::kInputs : llama::Keep::kAll,
                                 .threads = Threads(),
                                 .positions = positions});
    engine.SetEntrance([this](std::int64_t key, llama::Matrix<float> rows) {
      const auto [member, example] = keys_[static_cast<std::size_t>(key)];
      members_[member].hidden->Enter(static_cast<std::int64_t>(example), rows);
    });
    for (NextSteps(); !members_.empty(); NextSteps()) {
      for (std::size_t round = 0; Compute(round, &engine); ++round) {
      }
    }
  }

  // Takes the step that has been computed and finds the next one; who has none leaves.
  void NextSteps() {
    std::erase_if(members_, [this](Member& member) {
      Expected<void> taken;
      if (member.step != nullptr) taken = member.trainer->Take(member.loss, member.sum);
      member.step = taken ? member.trainer->Next() : nullptr;
      if (member.step == nullptr) End(member, taken);
      member.loss = 0.0;
      std::fill(member.sum.begin(), member.sum.end(), 0.0F);
      return member.step == nullptr;
    });
  }

  void End(const Member& member, const Expected<void>& taken) {
    if (!taken) return ended_(member.user, tl::unexpected(taken.error()));
    Adapter trained = *member.of->adapter;
    PhaseReport report = member.trainer->Finish(member.phase, &trained);
    if (report.divergence) {
      return ended_(member.user,
                    Fail(ErrorKind::kNumerical,
                         fmt::format("step {}", report.divergence->step),
                         report.divergence->reason));
    }
    *member.of->adapter = std::move(trained);
    report.elapsed_s = clock_.ElapsedS();
    report.cpu_s = member.cpu_s;
    ended_(member.user, report);
  }

  // Adds the members' batches of this round to their steps; false if there is none.
  bool Compute(std::size_t round, llama::Engine<float>* engine) {
    const double cpu_before_s = ProcessCpuS();
    std::vector<llama::Sequence> sequences;
    std::vector<llama::Slot<float>> slots;
    std::vector<double> work(members_.size(), 0.0);
    double work_sum = 0.0;
    keys_.clear();
    for (std::size_t m = 0; m < members_.size(); ++m) {
      Member& member = members_[m];
      const std::vector<float>& trained = member.trainer->state().parameters;
      std::copy(trained.begin(),
                trained.end(),
                member.parameters.begin() + static_cast<std::ptrdiff_t>(member.first));
      std::fill(member.gradient.begin(), member.gradient.end(), 0.0F);
      slots.push_back({member.parameters.data(), member.gradient.data()});
      for (llama::Sequence& sequence : SequencesOf(*member.of->examples, BatchOf(member, round))) {
        work[m] += member.flop_per_token * static_cast<double>(llama::RowsOf(sequence));
        keys_.emplace_back(m, static_cast<std::size_t>(sequence.key));
        sequence.key = std::ssize(keys_) - 1;
        sequence.slot = static_cast<int>(m);
        sequence.skipped = member.of->k - begin_;
        sequences.push_back(std::move(sequence));
      }
      work_sum += work[m];
    }
    if (sequences.empty()) return false;
    const std::vector<double> losses = engine->LossAndGradient(sequences, slots);
    const double cpu_s = ProcessCpuS() - cpu_before_s;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      members_[m].cpu_s += cpu_s * work[m] / work_sum;
      Add(round, losses[m], &members_[m]);
    }
    return true;
  }

  // The batch counts by its share of the step's answer tokens.
  static void Add(std::size_t round, double loss, Member* member) {
    const auto batch = BatchOf(*member, round);
    if (batch.empty()) return;
    const Examples& examples = *member->of->examples;
    const double share = AnswerTokens(examples, batch) / AnswerTokens(examples, *member->step);
    member->loss += share * loss;
    for (std::size_t i = 0; i < member->sum.size(); ++i) {
      member->sum[i] += static_cast<float>(share) * member->gradient[member->first + i];
    }
  }

  const Stopwatch clock_;
  const Model& model_;
  const std::span<const BatchedUser> users_;
  const UserEnded& ended_;
  const llama::AdapterLayout layout_;
  std::vector<Member> members_;                            // In ascending order of k.
  std::vector<std::pair<std::size_t, std::size_t>> keys_;  // Per sequence: member, its example.
  int begin_ = 0;
};

}  // namespace

void TrainServerBatch(const Model& model,
                      std::span<const BatchedUser> users,
                      const UserEnded& ended) {
  if (!users.empty()) ServerBatch(model, users, ended).Run();
}

}  // namespace dashf::train
