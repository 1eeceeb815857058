#include "cli/runtime/losses_report.h"

#include <fmt/format.h>

#include <cmath>

#include "report/interval_chart.h"

namespace dashf::cli {
namespace {

std::string Show(const ConfidenceInterval& interval) {
  if (interval.values == 0) return "-";
  if (!std::isfinite(interval.half_width)) return fmt::format("{:.4f}", interval.mean);
  return fmt::format("{:.4f} +- {:.4f}", interval.mean, interval.half_width);
}

std::string Compare(const study::LossRow& row, const study::LossRow& first, int rounds) {
  const ConfidenceInterval& more = row.more.back();
  if (more.values == 0) {
    return fmt::format("`{}` has no seed in common with `{}`.\n", row.policy, first.policy);
  }
  if (!more.AboveZero() && !more.BelowZero()) {
    return fmt::format("After {} rounds no difference between `{}` and `{}` is shown.\n",
                       rounds,
                       row.policy,
                       first.policy);
  }
  return fmt::format("After {} rounds `{}` has {:.4f} nat {} than `{}` (+- {:.4f}).\n",
                     rounds,
                     row.policy,
                     std::abs(more.mean),
                     more.mean > 0.0 ? "more" : "less",
                     first.policy,
                     more.half_width);
}

}  // namespace

std::string LossesMarkdown(const LossesTitle& title, const std::vector<study::LossRow>& rows) {
  std::string text = fmt::format(
      "# Held-out loss over rounds\n\n{} on {}: {} users, {} rounds, {:g} records a round in the "
      "mean, {} seed{}. Nat per answer token, mean of the users.\n\n| policy |",
      title.model,
      title.data,
      title.users,
      title.rounds,
      title.records_per_round,
      title.seeds,
      title.seeds == 1 ? "" : "s");
  for (const int round : title.after) text += fmt::format(" after {} |", round);
  text += " more than the first |\n|---|";
  for (std::size_t i = 0; i <= title.after.size(); ++i) text += "---|";
  text += "\n";
  for (const study::LossRow& row : rows) {
    text += fmt::format("| `{}` |", row.policy);
    for (const ConfidenceInterval& loss : row.loss) text += fmt::format(" {:.3f} |", loss.mean);
    text += fmt::format(" {} |\n", &row == &rows.front() ? "-" : Show(row.more.back()));
  }
  text += "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    text += Compare(rows[i], rows.front(), title.rounds);
  }
  text +=
      "\nWhat is more is compared within a world, with Student's 95 % interval over the seeds "
      "where "
      "there are two or more.\n\n![Held-out loss over the rounds](losses.svg)\n";
  return text;
}

nlohmann::ordered_json LossesRows(const LossesTitle& title,
                                  const std::vector<study::LossRow>& rows) {
  const auto half_width = [](const ConfidenceInterval& interval) {
    return interval.values > 0 && std::isfinite(interval.half_width)
               ? nlohmann::ordered_json(interval.half_width)
               : nlohmann::ordered_json();
  };
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const study::LossRow& row : rows) {
    for (std::size_t i = 0; i < title.after.size(); ++i) {
      const ConfidenceInterval &loss = row.loss[i], &more = row.more[i];
      const nlohmann::ordered_json difference =
          more.values > 0 ? nlohmann::ordered_json(more.mean) : nlohmann::ordered_json();
      list.push_back({{"policy", row.policy},
                      {"rounds", title.after[i]},
                      {"seeds", loss.values},
                      {"loss", loss.mean},
                      {"loss_half_width", half_width(loss)},
                      {"more", difference},
                      {"more_half_width", half_width(more)}});
    }
  }
  return list;
}

std::string LossesSvg(const LossesTitle& title, const std::vector<study::LossRow>& rows) {
  report::IntervalChart chart{
      .title = "Held-out loss over the rounds",
      .x_label = "rounds carried out",
      .y_label = "nat per answer token, mean with 95 % intervals over the seeds",
      .ticks = {},
      .with_zero = false,
      .series = {}};
  for (const int round : title.after) chart.ticks.push_back(fmt::to_string(round));
  for (const study::LossRow& row : rows) {
    report::IntervalSeries& series = chart.series.emplace_back();
    series.name = row.policy;
    for (std::size_t i = 0; i < row.loss.size(); ++i) {
      series.points.push_back({static_cast<int>(i), row.loss[i].mean, row.loss[i].half_width});
    }
  }
  return IntervalSvg(chart);
}

}  // namespace dashf::cli
