#include "replanning/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "sweep/summary.h"

namespace dashf::replanning {
namespace {

int BlocksOf(int rounds) {
  return std::min(rounds, kBlocksMax);
}
// The first round of a block; of the block after the last one, the number of rounds.
std::size_t BlockBegin(int rounds, int block) {
  return static_cast<std::size_t>(rounds) * static_cast<std::size_t>(block) /
         static_cast<std::size_t>(BlocksOf(rounds));
}

// A figure of a round, where it has one.
using Figure = std::function<std::optional<double>(const RoundOutcome& round)>;

// A figure of rounds with a plan.
Figure Planned(double RoundOutcome::*figure) {
  return [figure](const RoundOutcome& round) {
    return round.users_planned > 0 ? std::optional(round.*figure) : std::nullopt;
  };
}

void Take(const std::optional<double>& value, std::vector<double>* values) {
  if (value) values->push_back(*value);
}

std::optional<double> Mean(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<double> MeanOver(const std::vector<RoundOutcome>& rounds,
                               std::size_t begin,
                               const Figure& figure) {
  std::vector<double> values;
  for (std::size_t i = begin; i < rounds.size(); ++i) Take(figure(rounds[i]), &values);
  return Mean(values);
}

std::optional<double> ScrLost(const std::vector<RoundOutcome>& rounds,
                              const std::vector<RoundOutcome>& first,
                              std::size_t begin,
                              std::size_t end) {
  std::vector<double> values;
  for (std::size_t i = begin; i < end; ++i) {
    if (rounds[i].users_planned == 0 || !(first[i].scr > 0.0)) continue;
    values.push_back(1.0 - rounds[i].scr / first[i].scr);
  }
  return Mean(values);
}

ConfidenceInterval Interval(const std::vector<double>& values) {
  return values.empty() ? ConfidenceInterval() : MeanInterval(values, kConfidence);
}

PolicySummary RowOf(const Design& design, const Results& results, const std::string& policy) {
  PolicySummary row;
  row.policy = policy;
  std::vector<const std::vector<RoundOutcome>*> worlds;
  const int blocks = BlocksOf(design.world.rounds);
  std::vector<double> lost;
  std::vector<std::vector<double>> lost_by_block(static_cast<std::size_t>(blocks));
  for (const std::uint64_t seed : design.seeds) {
    const JobOutcome* outcome = results.Find({seed, policy});
    if (outcome == nullptr) continue;
    if (!outcome->failure.empty()) {
      ++row.failed;
      continue;
    }
    worlds.push_back(&outcome->rounds);
    const JobOutcome* first = results.Find({seed, design.policies.front().name});
    if (first == nullptr || !first->failure.empty()) continue;
    Take(ScrLost(outcome->rounds, first->rounds, 0, outcome->rounds.size()), &lost);
    for (int block = 0; block < blocks; ++block) {
      Take(ScrLost(outcome->rounds,
                   first->rounds,
                   BlockBegin(design.world.rounds, block),
                   BlockBegin(design.world.rounds, block + 1)),
           &lost_by_block[static_cast<std::size_t>(block)]);
    }
  }
  const auto over_seeds = [&worlds](std::size_t begin, const Figure& figure) {
    std::vector<double> values;
    for (const auto* rounds : worlds) Take(MeanOver(*rounds, begin, figure), &values);
    return Interval(values);
  };
  row.scr = over_seeds(0, Planned(&RoundOutcome::scr));
  row.score = over_seeds(0, Planned(&RoundOutcome::score));
  row.delay_s = over_seeds(0, Planned(&RoundOutcome::delay_s));
  row.energy_j = over_seeds(0, Planned(&RoundOutcome::energy_j));
  row.users_planned = over_seeds(
      0, [](const RoundOutcome& round) { return static_cast<double>(round.users_planned); });
  row.handovers =
      over_seeds(1, [](const RoundOutcome& round) { return static_cast<double>(round.handovers); });
  row.processor_s = over_seeds(0, [](const RoundOutcome& round) { return round.processor_s; });
  row.gap = over_seeds(0, [](const RoundOutcome& round) { return round.gap; });
  row.scr_lost = Interval(lost);
  for (const auto& values : lost_by_block) row.scr_lost_by_block.push_back(Interval(values));
  return row;
}

}  // namespace

std::vector<std::string> BlockNames(int rounds) {
  std::vector<std::string> names;
  for (int block = 0; block < BlocksOf(rounds); ++block) {
    const std::size_t first = BlockBegin(rounds, block) + 1, last = BlockBegin(rounds, block + 1);
    names.push_back(first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last));
  }
  return names;
}

std::vector<int> BlockEnds(int rounds) {
  std::vector<int> ends;
  for (int block = 1; block <= BlocksOf(rounds); ++block) {
    ends.push_back(static_cast<int>(BlockBegin(rounds, block)));
  }
  return ends;
}

std::vector<PolicySummary> Summarise(const Design& design, const Results& results) {
  std::vector<PolicySummary> rows;
  for (const Policy& policy : design.policies) {
    rows.push_back(RowOf(design, results, policy.name));
  }
  return rows;
}

nlohmann::ordered_json SummaryJson(const std::vector<PolicySummary>& rows) {
  const auto or_null = [](double value, bool there) {
    return there && std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const PolicySummary& row : rows) {
    nlohmann::ordered_json entry = {
        {"policy", row.policy}, {"seeds", row.scr.values}, {"failed", row.failed}};
    const std::pair<const char*, const ConfidenceInterval*> figures[] = {
        {"scr", &row.scr},
        {"scr_lost", &row.scr_lost},
        {"score", &row.score},
        {"delay_s", &row.delay_s},
        {"energy_j", &row.energy_j},
        {"users_planned", &row.users_planned},
        {"handovers", &row.handovers},
        {"processor_s", &row.processor_s},
        {"gap", &row.gap}};
    for (const auto& [name, interval] : figures) {
      entry[name] = or_null(interval->mean, interval->values > 0);
      entry[fmt::format("{}_half_width", name)] =
          or_null(interval->half_width, interval->values > 0);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

std::string SummaryCsv(const std::vector<PolicySummary>& rows) {
  return sweep::CsvOf(SummaryJson(rows));
}

}  // namespace dashf::replanning
