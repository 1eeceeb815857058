#include "sweep/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace dashf::sweep {
namespace {

double Mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double BestScr(const std::vector<Outcome>& outcomes) {
  double best = 0.0;
  for (const Outcome& outcome : outcomes) best = std::max(best, outcome.scr);
  return best;
}

SummaryRow RowOf(const Design& design,
                 const Results& results,
                 const std::vector<double>& point,
                 const std::string& method) {
  SummaryRow row;
  row.point = point;
  row.method = method;
  std::vector<double> scr, share, delay_s, energy_j, elapsed_s;
  for (const std::uint64_t seed : design.seeds) {
    const std::vector<Outcome>* outcomes = results.Find({point, seed});
    if (outcomes == nullptr) continue;
    const auto found = std::ranges::find(*outcomes, method, &Outcome::method);
    if (found == outcomes->end() || !found->solved) {
      ++row.failed;
      continue;
    }
    const double best = BestScr(*outcomes);
    scr.push_back(found->scr);
    if (best > 0.0) share.push_back(found->scr / best);
    delay_s.push_back(found->delay_s);
    energy_j.push_back(found->energy_j);
    elapsed_s.push_back(found->elapsed_s);
  }
  if (scr.empty()) return row;
  row.scr = MeanInterval(scr, kConfidence);
  if (!share.empty()) row.share_of_best = MeanInterval(share, kConfidence);
  row.delay_s = Mean(delay_s);
  row.energy_j = Mean(energy_j);
  row.elapsed_s = Mean(elapsed_s);
  return row;
}

nlohmann::ordered_json OrNull(double value, bool there) {
  return there && std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

}  // namespace

std::vector<SummaryRow> Summarise(const Design& design, const Results& results) {
  std::vector<SummaryRow> rows;
  for (const std::vector<double>& point : design.Points()) {
    for (const std::string& method : design.methods) {
      rows.push_back(RowOf(design, results, point, method));
    }
  }
  return rows;
}

nlohmann::ordered_json SummaryJson(const Design& design, const std::vector<SummaryRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const SummaryRow& row : rows) {
    nlohmann::ordered_json entry;
    for (std::size_t i = 0; i < row.point.size(); ++i) {
      std::string key = design.varied[i].parameter;
      std::ranges::replace(key, '-', '_');
      entry[key] = row.point[i];
    }
    const bool any = row.scr.values > 0, shared = row.share_of_best.values > 0;
    entry["method"] = row.method;
    entry["seeds"] = row.scr.values;
    entry["failed"] = row.failed;
    entry["scr"] = OrNull(row.scr.mean, any);
    entry["scr_half_width"] = OrNull(row.scr.half_width, any);
    entry["share_of_best"] = OrNull(row.share_of_best.mean, shared);
    entry["share_of_best_half_width"] = OrNull(row.share_of_best.half_width, shared);
    entry["delay_s"] = OrNull(row.delay_s, any);
    entry["energy_j"] = OrNull(row.energy_j, any);
    entry["elapsed_s"] = OrNull(row.elapsed_s, any);
    list.push_back(std::move(entry));
  }
  return list;
}

std::string CsvOf(const nlohmann::ordered_json& rows) {
  std::string text;
  for (const auto& entry : rows) {
    std::vector<std::string> names, cells;
    for (const auto& [key, value] : entry.items()) {
      names.push_back(key);
      cells.push_back(value.is_null()     ? ""
                      : value.is_string() ? value.get<std::string>()
                                          : value.dump());
    }
    if (text.empty()) text = fmt::format("{}\n", fmt::join(names, ","));
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
}

std::string SummaryCsv(const Design& design, const std::vector<SummaryRow>& rows) {
  return CsvOf(SummaryJson(design, rows));
}

}  // namespace dashf::sweep
