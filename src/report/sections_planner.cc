// How the plan compares and came about: methods, history, provenance.
#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "report/charts.h"
#include "report/html.h"
#include "report/sections.h"

namespace dashf::report {
namespace {

std::string MethodRow(const MethodResult& result, double best_scr, bool chosen) {
  const double share = result.scr && best_scr > 0.0 ? *result.scr / best_scr : 0.0;
  return fmt::format(
      "<tr{}><td class=\"t\">{}</td><td>{}</td><td class=\"t\"><span class=\"bar\"><i "
      "style=\"width:{:.1f}%\"></i></span> "
      "{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}"
      "</td><td class=\"note\">{}</td></tr>\n",
      chosen ? " class=\"chosen\"" : "",
      Escape(result.method),
      result.scr ? fmt::format("{:.4g}", *result.scr) : "–",
      100.0 * std::clamp(share, 0.0, 1.0),
      result.scr ? Percent(share, 1) : "",
      Plain(result.score, 2),
      result.cost ? fmt::format("{:.4g}", *result.cost) : "–",
      WithUnit(result.delay_s, "s"),
      WithUnit(result.energy_j, "J"),
      WithUnit(result.elapsed_s, "s"),
      Escape(result.note));
}

// Methods are compared before the first round, and the latest round's plan may be of another world.
std::string OtherScenario(const RunDirectory& run) {
  if (!run.round) return {};
  const Scenario& scenario = run.loaded.scenario;
  const std::size_t servers = run.round->servers.size();
  if (run.round->number == 1 && servers == scenario.servers.size()) return {};
  return fmt::format(
      "<p>The table is of the scenario before the first round, with {}. The plan of this page is "
      "of round {}, in which {} and {} took part; users that go on from an adapter send all of it "
      "up. Its SCR of {:.4g} is not to be held against the table.</p>\n",
      Counted(servers, "server"),
      run.round->number,
      Counted(scenario.users.size(), "user"),
      Counted(scenario.servers.size(), "server"),
      run.evaluation.scr);
}

}  // namespace

std::string MethodsSection(const RunDirectory& run) {
  const auto& exhaustive = run.round ? run.round->exhaustive_scr : std::nullopt;
  if (run.comparison.empty() && !exhaustive) return {};
  std::string section = "<section><h2>Against other methods</h2>\n";
  if (exhaustive) {
    section += fmt::format(
        "<p>The best plan there is, found by trying every association, has an SCR of {:.6g}; this "
        "plan's {:.6g} is {} below it.</p>\n",
        *exhaustive,
        run.evaluation.scr,
        Percent(run.round->gap, 2));
  }
  if (run.comparison.empty()) return section + "</section>\n";
  section += OtherScenario(run);
  std::vector<MethodResult> rows = run.comparison;
  std::stable_sort(rows.begin(), rows.end(), [](const MethodResult& a, const MethodResult& b) {
    return a.scr.value_or(-1.0) > b.scr.value_or(-1.0);
  });
  section +=
      "<div class=\"scroll\"><table>\n<thead><tr><th class=\"t\">method</th><th>SCR</th><th "
      "class=\"t\">of "
      "the best</th><th>score</th><th>cost</th><th>delay</th><th>energy</th><th>time to plan</th>"
      "<th class=\"t\">note</th></tr></thead>\n";
  const double best_scr = rows.front().scr.value_or(0.0);
  for (const MethodResult& row : rows) {
    section += MethodRow(row, best_scr, row.method == run.plan.method);
  }
  return section + "</table></div></section>\n";
}

std::string HistorySection(const RunDirectory& run) {
  if (run.plan.history.empty()) return {};
  std::string section = fmt::format(
      "<section><h2>How {} got there</h2>\n{}<details><summary>{} iterations, ended: {}</summary>"
      "<div class=\"scroll\"><table>\n<thead><tr><th>iteration</th><th "
      "class=\"t\">step</th><th>SCR</th>"
      "<th>residual</th><th>elapsed</th></tr></thead>\n",
      Escape(run.plan.method),
      HistorySvg(run.plan.history),
      run.plan.history.size(),
      Name(run.plan.termination));
  for (const IterationRecord& record : run.plan.history) {
    section += fmt::format(
        "<tr><td>{}</td><td class=\"t\">{}</td><td>{:.8g}</td><td>{:.2e}</td><td>{}</td></tr>\n",
        record.iteration,
        Escape(record.step),
        record.scr,
        record.residual,
        WithUnit(record.elapsed_s, "s"));
  }
  return section + "</table></div></details></section>\n";
}

std::string ProvenanceSection(const RunDirectory& run) {
  const Objective& objective = run.loaded.scenario.objective;
  std::string items;
  const auto item = [&items](std::string_view name, std::string_view value) {
    items += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, Escape(value));
  };
  item("scenario", run.loaded.scenario.name);
  item("scenario SHA-256", run.loaded.sha256);
  item("objective",
       fmt::format("delay mode {}, {} per s, {} per J, score {} ln(1 + {} share), all-local {}",
                   objective.delay == DelayMode::kSum ? "sum" : "makespan",
                   objective.delay_weight_per_s,
                   objective.energy_weight_per_j,
                   objective.score_scale,
                   objective.score_gain,
                   objective.all_local_allowed ? "allowed" : "not allowed"));
  item("planned by", fmt::format("{}, dashf {}", run.plan.method, run.plan.version));
  item("planner's seed", fmt::format("{}", run.plan.seed));
  if (run.round) {
    item("model", run.round->model);
    item("round's seed", fmt::format("{}", run.round->seed));
  }
  std::string files;
  for (const std::string& file : run.files) {
    files += fmt::format("<li><code>{}</code></li>\n", Escape(file));
  }
  return fmt::format(
      "<section><h2>Where this comes from</h2>\n<dl>{}</dl>\n<p>To recompute, in this folder:</p>\n"
      "<pre>dashf evaluate scenario.json plan.json\ndashf solve scenario.json --method {} --seed "
      "{} "
      "--out plan.json\ndashf compare scenario.json\ndashf report .</pre>\n<details><summary>{} "
      "files</summary><ul>{}</ul></details></section>\n",
      items,
      Escape(run.plan.method),
      run.plan.seed,
      run.files.size(),
      files);
}

}  // namespace dashf::report
