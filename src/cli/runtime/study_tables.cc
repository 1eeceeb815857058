#include "cli/runtime/study_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace dashf::cli {
namespace {

using study::Summary;

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

std::string Markdown(const Table& table) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.header.size(); ++c) {
    std::size_t width = table.header[c].size();
    for (const auto& row : table.rows) width = std::max(width, row[c].size());
    widths.push_back(width);
  }
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      text += fmt::format("| {:<{}} ", cells[c], widths[c]);
    }
    text += "|\n";
  };
  line(table.header);
  for (const std::size_t width : widths) text += fmt::format("|{:-<{}}", "", width + 2);
  text += "|\n";
  for (const auto& row : table.rows) line(row);
  return text;
}

std::string Show(const ConfidenceInterval& interval, double factor, int digits) {
  if (!std::isfinite(interval.half_width)) {
    return fmt::format("{:.{}f}", factor * interval.mean, digits);
  }
  return fmt::format(
      "{:.{}f} +- {:.{}f}", factor * interval.mean, digits, factor * interval.half_width, digits);
}

std::string ObjectiveName(train::UserObjective objective) {
  return objective == train::UserObjective::kEarlyExit ? "early_exit" : "full_depth";
}

// The ends of the range of k stand for every schedule and objective.
std::string ScheduleName(const study::Arm& arm, const StudyTitle& title) {
  if (arm.k == 0) return "all-server";
  if (arm.k == title.layers) return "all-local";
  return study::Name(arm.schedule, title.user_share);
}

std::string ObjectiveOf(const study::Arm& arm, const StudyTitle& title) {
  return arm.k == 0 || arm.k == title.layers ? "-" : ObjectiveName(arm.objective);
}

Table QualityTable(const StudyTitle& title, const Summary& summary) {
  Table table{{"schedule",
               "objective",
               "k",
               "loss",
               "lost, equal steps",
               "lost, equal FLOP",
               "match %",
               "match lost, points"},
              {}};
  for (const study::ArmRow& row : summary.arms) {
    const study::Comparison& r = row.result;
    table.rows.push_back({ScheduleName(row.arm, title),
                          ObjectiveOf(row.arm, title),
                          fmt::to_string(row.arm.k),
                          fmt::format("{:.3f}", r.loss),
                          Show(r.loss_lost, 1.0, 3),
                          Show(r.loss_lost_equal_flop, 1.0, 3),
                          fmt::format("{:.1f}", 100.0 * r.exact_match),
                          Show(r.exact_match_lost, 100.0, 1)});
  }
  return table;
}

Table CostTable(const StudyTitle& title, const Summary& summary) {
  Table table{{"schedule",
               "objective",
               "k",
               "user GFLOP",
               "server GFLOP",
               "FLOP, % of all-server",
               "user CPU s",
               "server CPU s",
               "user MB",
               "server MB",
               "up kB",
               "down kB"},
              {}};
  for (const study::ArmRow& row : summary.arms) {
    const study::Comparison& r = row.result;
    table.rows.push_back(
        {ScheduleName(row.arm, title),
         ObjectiveOf(row.arm, title),
         fmt::to_string(row.arm.k),
         fmt::format("{:.2f}", 1e-9 * r.user_flop),
         fmt::format("{:.2f}", 1e-9 * r.server_flop),
         fmt::format("{:.0f}", 100.0 * (r.user_flop + r.server_flop) / r.reference_flop),
         fmt::format("{:.2f}", r.user_cpu_s),
         fmt::format("{:.2f}", r.server_cpu_s),
         fmt::format("{:.0f}", 1e-6 * r.user_memory_bytes),
         fmt::format("{:.0f}", 1e-6 * r.server_memory_bytes),
         fmt::format("{:.0f}", 1e-3 * r.up_bytes),
         fmt::format("{:.0f}", 1e-3 * r.down_bytes)});
  }
  return table;
}

Table ScheduleTable(const StudyTitle& title, const Summary& summary) {
  Table table{{"schedule", "objective", "loss lost", "match lost, points"}, {}};
  for (const study::ScheduleRow& row : summary.schedules) {
    table.rows.push_back({study::Name(row.schedule, title.user_share),
                          ObjectiveName(row.objective),
                          Show(row.loss_lost, 1.0, 3),
                          Show(row.exact_match_lost, 100.0, 1)});
  }
  return table;
}

Table SharedTable(const Summary& summary) {
  Table table{{"adapter", "loss", "worse than own by", "match %", "match lost, points"}, {}};
  table.rows.push_back({"each user's own",
                        fmt::format("{:.3f}", summary.loss.mean),
                        "-",
                        fmt::format("{:.1f}", 100.0 * summary.exact_match.mean),
                        "-"});
  for (const study::SharedRow& row : summary.shared) {
    table.rows.push_back({row.training,
                          fmt::format("{:.3f}", row.loss.mean),
                          Show(row.loss_lost, 1.0, 3),
                          fmt::format("{:.1f}", 100.0 * row.exact_match.mean),
                          Show(row.exact_match_lost, 100.0, 1)});
  }
  return table;
}

std::string Verdict(const ConfidenceInterval& lost) {
  if (lost.AboveZero()) return "worse than the reference";
  if (lost.BelowZero()) return "better than the reference";
  return "no difference is shown";
}

std::string Paragraph(const StudyTitle& title, const Summary& summary) {
  std::string text = fmt::format(
      "{} on {}: {} users in {} repetition{}, {} passes each. All layers trained in one place "
      "reach a "
      "held-out loss of {} nat per answer token and {} % exact match. ",
      title.model,
      title.data,
      title.users,
      title.repetitions,
      title.repetitions == 1 ? "" : "s",
      title.passes,
      Show(summary.loss, 1.0, 3),
      Show(summary.exact_match, 100.0, 1));
  if (summary.schedules.empty()) return text + "\n";
  std::vector<study::ScheduleRow> rows = summary.schedules;
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.loss_lost.mean < b.loss_lost.mean;
  });
  text += "With as many steps, over the splits between, ";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += fmt::format("{}{} with {} loses {} nat ({})",
                        i == 0 ? "" : "; ",
                        study::Name(rows[i].schedule, title.user_share),
                        ObjectiveName(rows[i].objective),
                        Show(rows[i].loss_lost, 1.0, 3),
                        Verdict(rows[i].loss_lost));
  }
  return text + ".\n";
}

}  // namespace

std::string StudyMarkdown(const StudyTitle& title, const Summary& summary) {
  std::string text = Paragraph(title, summary);
  text += fmt::format(
      "\nLost: by how much loss is higher and exact match lower than the reference's, mean of the "
      "paired\ndifferences of {} pairs of user and repetition, +- {:.0f} % Student's t "
      "interval.\n\n",
      summary.pairs,
      100.0 * study::kConfidence);
  text += Markdown(QualityTable(title, summary));
  text += "\nWhat it takes, means per user; MB beyond the process with model and data:\n\n";
  text += Markdown(CostTable(title, summary));
  if (!summary.schedules.empty()) {
    text += "\nSchedules, each pair's mean over the splits 0 < k < L:\n\n";
    text += Markdown(ScheduleTable(title, summary));
  }
  if (!summary.shared.empty()) {
    text += "\nOne adapter for all users against each user's own:\n\n";
    text += Markdown(SharedTable(summary));
  }
  return text;
}

nlohmann::ordered_json StudyRows(const StudyTitle& title, const Summary& summary) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const auto half = [](const ConfidenceInterval& interval) {
    return std::isfinite(interval.half_width) ? nlohmann::ordered_json(interval.half_width)
                                              : nlohmann::ordered_json();
  };
  for (const study::ArmRow& row : summary.arms) {
    const study::Comparison& r = row.result;
    rows.push_back({{"schedule", ScheduleName(row.arm, title)},
                    {"objective", ObjectiveOf(row.arm, title)},
                    {"k", row.arm.k},
                    {"pairs", r.pairs},
                    {"loss", r.loss},
                    {"loss_lost", r.loss_lost.mean},
                    {"loss_lost_half_width", half(r.loss_lost)},
                    {"loss_lost_equal_flop", r.loss_lost_equal_flop.mean},
                    {"loss_lost_equal_flop_half_width", half(r.loss_lost_equal_flop)},
                    {"exact_match", r.exact_match},
                    {"exact_match_lost", r.exact_match_lost.mean},
                    {"exact_match_lost_half_width", half(r.exact_match_lost)},
                    {"user_flop", r.user_flop},
                    {"server_flop", r.server_flop},
                    {"reference_flop", r.reference_flop},
                    {"user_cpu_s", r.user_cpu_s},
                    {"server_cpu_s", r.server_cpu_s},
                    {"user_memory_bytes", r.user_memory_bytes},
                    {"server_memory_bytes", r.server_memory_bytes},
                    {"up_bytes", r.up_bytes},
                    {"down_bytes", r.down_bytes}});
  }
  return rows;
}

std::string StudyCsv(const nlohmann::ordered_json& rows) {
  if (rows.empty()) return {};
  std::vector<std::string> names;
  for (const auto& [key, value] : rows.front().items()) names.push_back(key);
  std::string text = fmt::format("{}\n", fmt::join(names, ","));
  for (const auto& row : rows) {
    std::vector<std::string> cells;
    // A null's cell stays empty; JSON's quotes are CSV's for text that has none inside.
    for (const auto& [key, value] : row.items())
      cells.push_back(value.is_null() ? "" : value.dump());
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
}

std::string StudySvg(const StudyTitle& title, const Summary& summary) {
  report::IntervalChart chart;
  chart.title = fmt::format("Held-out loss lost by the split: {} on {}", title.model, title.data);
  chart.x_label = "k, layers trained at the user";
  chart.y_label = "held-out loss lost, nat per answer token";
  for (int k = 0; k <= title.layers; ++k) chart.ticks.push_back(fmt::to_string(k));
  for (const study::ArmRow& row : summary.arms) {
    if (row.arm.k == 0 || row.arm.k == title.layers) continue;  // The line at zero.
    const std::string name = ScheduleName(row.arm, title) + ", " + ObjectiveName(row.arm.objective);
    if (chart.series.empty() || chart.series.back().name != name) {
      chart.series.push_back({name, {}});
    }
    chart.series.back().points.push_back(
        {row.arm.k, row.result.loss_lost.mean, row.result.loss_lost.half_width});
  }
  return report::IntervalSvg(chart);
}

}  // namespace dashf::cli
