#include "cli/planner/rounds_report.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/counted.h"
#include "report/interval_chart.h"

namespace dashf::cli {
namespace {

using replanning::Design;
using replanning::PolicySummary;

std::string Show(const ConfidenceInterval& interval, double factor, int digits) {
  if (interval.values == 0) return "-";
  const std::string mean = fmt::format("{:.{}f}", factor * interval.mean, digits);
  if (!std::isfinite(interval.half_width)) return mean;
  return fmt::format("{} +- {:.{}f}", mean, factor * interval.half_width, digits);
}

std::string WorldText(const Design& design) {
  const replanning::WorldSettings& world = design.world;
  std::string text = fmt::format("{} and {} of the default study, {}, {}.\n",
                                 Counted(world.study.users, "user"),
                                 Counted(world.study.servers, "server"),
                                 Counted(world.rounds, "round"),
                                 Counted(design.seeds.size(), "seed"));
  if (world.trace) {
    text += fmt::format("Users move as in {}.\n", world.trace->path);
  } else if (world.walk.moves()) {
    text +=
        fmt::format("Users move by random waypoint at {:g} to {:g} m/s, a round every {:g} s.\n",
                    world.walk.speed_m_per_s_min,
                    world.walk.speed_m_per_s_max,
                    world.walk.round_s);
  } else {
    text += "Nobody moves.\n";
  }
  text +=
      fmt::format("Links {}.\n", world.fading_anew ? "fade anew each round" : "keep their fade");
  text += fmt::format(
      "A round's data are {:g} to {:g} times the user's mean.\n"
      "From round to round a user leaves with probability {:g} and comes back with {:g}, a server "
      "fails with {:g} and comes back with {:g}.\n",
      1.0 - world.data_spread,
      1.0 + world.data_spread,
      world.users.away,
      world.users.back,
      world.servers.away,
      world.servers.back);
  return text;
}

std::string Table(const Design& design, const std::vector<PolicySummary>& rows) {
  std::string text = fmt::format(
      "| policy | SCR | SCR lost to `{}`, % | delay, s | energy, J | score | handovers a round | "
      "users planned | planning, CPU ms a round |{}{}\n",
      design.policies.front().name,
      design.planning.gaps ? " proven gap, % |" : "",
      " failed seeds |");
  text += design.planning.gaps ? "|---|---|---|---|---|---|---|---|---|---|---|\n"
                               : "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const PolicySummary& row : rows) {
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |",
                        row.policy,
                        Show(row.scr, 1.0, 3),
                        Show(row.scr_lost, 100.0, 3),
                        Show(row.delay_s, 1.0, 0),
                        Show(row.energy_j, 1.0, 0),
                        Show(row.score, 1.0, 2),
                        Show(row.handovers, 1.0, 2),
                        Show(row.users_planned, 1.0, 1),
                        Show(row.processor_s, 1e3, 1));
    if (design.planning.gaps) text += fmt::format(" {} |", Show(row.gap, 100.0, 4));
    text += fmt::format(" {} |\n", row.failed);
  }
  return text;
}

// One sentence or two on a policy beside the first one.
std::string Compare(const PolicySummary& row, const PolicySummary& first) {
  if (row.scr.values == 0) return fmt::format("`{}` gave no plans.\n", row.policy);
  if (row.scr_lost.values == 0)
    return fmt::format("`{}` has nothing to be compared with.\n", row.policy);
  const double lost = 100.0 * row.scr_lost.mean;
  std::string text;
  if (!row.scr_lost.AboveZero() && !row.scr_lost.BelowZero()) {
    text = fmt::format(
        "`{}` brings an SCR that these seeds cannot tell from that of `{}` "
        "({:+.3g} %, within {:.2g} %).",
        row.policy,
        first.policy,
        -lost,
        100.0 * row.scr_lost.half_width);
  } else {
    text = fmt::format("`{}` brings {:.3g} % {} SCR than `{}` (+- {:.2g} %).",
                       row.policy,
                       std::abs(lost),
                       lost > 0.0 ? "less" : "more",
                       first.policy,
                       100.0 * row.scr_lost.half_width);
  }
  return text + fmt::format(
                    " It moves {:.3g} users a round to another server, against {:.3g}, and "
                    "plans for {:.3g} ms of processor time, against {:.3g}.\n",
                    row.handovers.mean,
                    first.handovers.mean,
                    1e3 * row.processor_s.mean,
                    1e3 * first.processor_s.mean);
}

}  // namespace

std::string RoundsReport(const Design& design, const std::vector<PolicySummary>& rows) {
  std::string text = "# Planning anew over rounds\n\n" + WorldText(design) + "\n";
  text += Table(design, rows) + "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) text += Compare(rows[i], rows.front());
  text +=
      "\nMeans of a round over the seeds, with Student's 95 % interval where there are two seeds "
      "or "
      "more; all policies meet the same worlds, and what is lost is compared round by round.\n"
      "The model charges nothing for a handover.\n";
  if (rows.size() > 1) text += "\n![SCR lost over the rounds](rounds.svg)\n";
  return text;
}

std::string RoundsSvg(const Design& design, const std::vector<PolicySummary>& rows) {
  report::IntervalChart chart{
      .title = "SCR lost over the rounds",
      .x_label = "round",
      .y_label = fmt::format("SCR lost to {}, %, mean with 95 % intervals over the seeds",
                             design.policies.front().name),
      .ticks = replanning::BlockNames(design.world.rounds),
      .with_zero = true,
      .series = {}};
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    if (row == rows.begin()) continue;
    report::IntervalSeries series{row->policy, {}};
    for (std::size_t block = 0; block < row->scr_lost_by_block.size(); ++block) {
      const ConfidenceInterval& lost = row->scr_lost_by_block[block];
      if (lost.values == 0) continue;
      series.points.push_back(
          {static_cast<int>(block), 100.0 * lost.mean, 100.0 * lost.half_width});
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  return IntervalSvg(chart);
}

}  // namespace dashf::cli
