#include "study/summary.h"

#include <optional>

namespace dashf::study {
namespace {

// One user of one repetition, with its results.
class Pair {
 public:
  Pair(const Repetition& repetition, std::size_t user, const Results& results)
      : repetition_(&repetition), user_(user), results_(&results) {}

  const UserData& data() const { return repetition_->users[user_]; }
  Expected<const Outcome*> Find(const std::string& training) const {
    return results_->Find(repetition_->seed, static_cast<int>(user_), training, data().sha256);
  }

 private:
  const Repetition* repetition_;
  std::size_t user_;
  const Results* results_;
};

std::optional<ConfidenceInterval> IntervalOf(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return MeanInterval(values, kConfidence);
}

void AddCosts(const Outcome& outcome, Comparison* sums) {
  sums->loss += outcome.loss;
  sums->exact_match += outcome.exact_match;
  sums->user_flop += outcome.at_user.flop;
  sums->server_flop += outcome.at_server.flop;
  sums->user_cpu_s += outcome.at_user.cpu_s;
  sums->server_cpu_s += outcome.at_server.cpu_s;
  sums->user_memory_bytes += outcome.at_user.memory_bytes;
  sums->server_memory_bytes += outcome.at_server.memory_bytes;
  sums->up_bytes += outcome.up_bytes;
  sums->down_bytes += outcome.down_bytes;
}

class Summariser {
 public:
  Summariser(const train::ModelConfig& model,
             const std::vector<Repetition>& repetitions,
             const Design& design,
             const Results& results)
      : model_(model), design_(design) {
    for (const Repetition& repetition : repetitions) {
      for (std::size_t user = 0; user < repetition.users.size(); ++user) {
        pairs_.emplace_back(repetition, user, results);
      }
    }
  }

  Expected<Summary> Go() {
    Summary summary;
    for (const auto step : {&Summariser::AddReference,
                            &Summariser::AddArms,
                            &Summariser::AddSchedules,
                            &Summariser::AddShared}) {
      if (auto added = (this->*step)(&summary); !added) return tl::unexpected(added.error());
    }
    return summary;
  }

 private:
  Expected<const Outcome*> ReferenceOf(const Pair& pair) const {
    return pair.Find(Text(Reference(design_, pair.data()), model_.layers));
  }

  Expected<void> AddReference(Summary* summary) {
    std::vector<double> losses, exact_matches;
    for (const Pair& pair : pairs_) {
      const auto found = ReferenceOf(pair);
      if (!found) return tl::unexpected(found.error());
      if (*found == nullptr) continue;
      losses.push_back((*found)->loss);
      exact_matches.push_back((*found)->exact_match);
    }
    summary->pairs = static_cast<int>(losses.size());
    summary->loss = IntervalOf(losses).value_or(ConfidenceInterval{});
    summary->exact_match = IntervalOf(exact_matches).value_or(ConfidenceInterval{});
    return {};
  }

  Expected<void> AddArms(Summary* summary) {
    for (const Arm& arm : ArmsOf(design_, model_.layers)) {
      const auto row = Compare(arm);
      if (!row) return tl::unexpected(row.error());
      if (row->pairs > 0) summary->arms.push_back({arm, *row});
    }
    return {};
  }

  Expected<Comparison> Compare(const Arm& arm) const {
    Comparison row;
    std::vector<double> loss_lost, equal_flop, exact_match_lost;
    for (const Pair& pair : pairs_) {
      const auto phases = PhasesOf(arm, design_, model_.layers, pair.data());
      const auto equal = ReferenceOfEqualFlop(phases, design_, model_, pair.data());
      const auto reference = ReferenceOf(pair);
      const auto found = pair.Find(Text(phases, model_.layers));
      const auto cheaper = pair.Find(Text(equal, model_.layers));
      for (const auto* one : {&reference, &found, &cheaper}) {
        if (!*one) return tl::unexpected(one->error());
      }
      if (*reference == nullptr || *found == nullptr || *cheaper == nullptr) continue;
      AddCosts(**found, &row);
      row.reference_flop += (*reference)->at_server.flop;
      loss_lost.push_back((*found)->loss - (*reference)->loss);
      equal_flop.push_back((*found)->loss - (*cheaper)->loss);
      exact_match_lost.push_back((*reference)->exact_match - (*found)->exact_match);
    }
    row.pairs = static_cast<int>(loss_lost.size());
    if (row.pairs == 0) return row;
    for (double* sum : {&row.loss,
                        &row.exact_match,
                        &row.user_flop,
                        &row.server_flop,
                        &row.reference_flop,
                        &row.user_cpu_s,
                        &row.server_cpu_s,
                        &row.user_memory_bytes,
                        &row.server_memory_bytes,
                        &row.up_bytes,
                        &row.down_bytes}) {
      *sum /= row.pairs;
    }
    row.loss_lost = *IntervalOf(loss_lost);
    row.loss_lost_equal_flop = *IntervalOf(equal_flop);
    row.exact_match_lost = *IntervalOf(exact_match_lost);
    return row;
  }

  // Only pairs that have every split count.
  Expected<void> AddSchedules(Summary* summary) {
    for (const Schedule& schedule : design_.schedules) {
      for (const train::UserObjective objective : design_.objectives) {
        std::vector<double> loss_lost, exact_match_lost;
        for (const Pair& pair : pairs_) {
          const auto lost = MeanLost(pair, schedule, objective);
          if (!lost) return tl::unexpected(lost.error());
          if (!*lost) continue;
          loss_lost.push_back((*lost)->first);
          exact_match_lost.push_back((*lost)->second);
        }
        if (loss_lost.empty()) continue;
        summary->schedules.push_back(
            {schedule, objective, *IntervalOf(loss_lost), *IntervalOf(exact_match_lost)});
      }
    }
    return {};
  }

  // Loss and exact match; none where a result is missing.
  Expected<std::optional<std::pair<double, double>>> MeanLost(
      const Pair& pair, const Schedule& schedule, train::UserObjective objective) const {
    const auto reference = ReferenceOf(pair);
    if (!reference) return tl::unexpected(reference.error());
    double loss = 0.0, exact_match = 0.0;
    int splits = 0;
    for (const int k : design_.splits) {
      if (k == 0 || k == model_.layers) continue;
      const auto phases =
          PhasesOf(Arm{schedule, objective, k}, design_, model_.layers, pair.data());
      const auto found = pair.Find(Text(phases, model_.layers));
      if (!found) return tl::unexpected(found.error());
      if (*found == nullptr || *reference == nullptr) return std::nullopt;
      loss += (*found)->loss - (*reference)->loss;
      exact_match += (*reference)->exact_match - (*found)->exact_match;
      ++splits;
    }
    if (splits == 0) return std::nullopt;
    return std::pair(loss / splits, exact_match / splits);
  }

  Expected<void> AddShared(Summary* summary) {
    for (const char* training : {kPooled, kMeanOfFactors, kMeanOfProducts}) {
      std::vector<double> loss, loss_lost, exact_match, exact_match_lost;
      for (const Pair& pair : pairs_) {
        const auto own = ReferenceOf(pair);
        const auto found = pair.Find(training);
        for (const auto* one : {&own, &found}) {
          if (!*one) return tl::unexpected(one->error());
        }
        if (*own == nullptr || *found == nullptr) continue;
        loss.push_back((*found)->loss);
        loss_lost.push_back((*found)->loss - (*own)->loss);
        exact_match.push_back((*found)->exact_match);
        exact_match_lost.push_back((*own)->exact_match - (*found)->exact_match);
      }
      if (loss.empty()) continue;
      summary->shared.push_back({training,
                                 *IntervalOf(loss),
                                 *IntervalOf(loss_lost),
                                 *IntervalOf(exact_match),
                                 *IntervalOf(exact_match_lost)});
    }
    return {};
  }

  const train::ModelConfig& model_;
  const Design& design_;
  std::vector<Pair> pairs_;
};

}  // namespace

Expected<Summary> Summarise(const train::ModelConfig& model,
                            const std::vector<Repetition>& repetitions,
                            const Design& design,
                            const Results& results) {
  return Summariser(model, repetitions, design, results).Go();
}

}  // namespace dashf::study
