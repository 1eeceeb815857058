// What the round brought: learning per user, predicted and measured times.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/counted.h"
#include "base/median.h"
#include "report/charts.h"
#include "report/html.h"
#include "report/sections.h"

namespace dashf::report {
namespace {

constexpr std::optional<double> PhaseSeconds::*kPhases[] = {
    &PhaseSeconds::local, &PhaseSeconds::upload, &PhaseSeconds::server, &PhaseSeconds::download};

// One measure's five columns: before, after, all-server, centralised.
struct Measure {
  std::string_view title;
  std::optional<double> Quality::*member;
  bool larger_is_better;
};
constexpr Measure kMeasures[] = {{"loss, nat per token", &Quality::loss, false},
                                 {"exact match", &Quality::exact_match, true},
                                 {"choice accuracy", &Quality::choice_accuracy, true}};

std::string Shown(const Measure& measure, std::optional<double> value) {
  return measure.larger_is_better ? Percent(value, 1) : Plain(value, 3);
}

bool AnyHas(const Round& round, const Measure& measure) {
  return std::any_of(round.users.begin(), round.users.end(), [&](const RoundUser& user) {
    return user.before.*measure.member || user.after.*measure.member;
  });
}

std::string QualityCells(const Measure& measure, const RoundUser& user) {
  const std::optional<double> before = user.before.*measure.member;
  const std::optional<double> after = user.after.*measure.member;
  std::string_view look;
  if (before && after && *before != *after) {
    look = (*after > *before) == measure.larger_is_better ? " class=\"good\"" : " class=\"bad\"";
  }
  return fmt::format("<td class=\"b\">{}</td><td{}>{}</td><td>{}</td><td>{}</td>",
                     Shown(measure, before),
                     look,
                     Shown(measure, after),
                     Shown(measure, user.all_server.*measure.member),
                     Shown(measure, user.centralised.*measure.member));
}

std::optional<double> Mean(const std::vector<RoundUser>& users,
                           Quality RoundUser::*when,
                           std::optional<double> Quality::*member) {
  double sum = 0.0;
  int count = 0;
  for (const RoundUser& user : users) {
    if (const auto& value = user.*when.*member) {
      sum += *value;
      ++count;
    }
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

RoundUser MeanUser(const Round& round) {
  RoundUser mean;
  for (const Measure& measure : kMeasures) {
    for (const auto when : std::initializer_list<Quality RoundUser::*>{&RoundUser::before,
                                                                       &RoundUser::after,
                                                                       &RoundUser::all_server,
                                                                       &RoundUser::centralised}) {
      mean.*when.*measure.member = Mean(round.users, when, measure.member);
    }
  }
  return mean;
}

std::string Failures(const Round& round) {
  const auto list = [](std::string_view title, const std::string& items) {
    if (items.empty()) return std::string();
    return fmt::format("<p class=\"bad\">{}</p><ul class=\"bad\">\n{}</ul>\n", title, items);
  };
  std::string items, servers;
  for (const RoundUser& user : round.users) {
    if (user.failure) {
      items += fmt::format("<li>user {}: {}</li>\n", Escape(user.id), Escape(*user.failure));
    }
  }
  for (const UserRecord& user : round.unplanned) {
    items += fmt::format("<li>user {}: {} (not in the round's first plan)</li>\n",
                         Escape(user.id),
                         Escape(user.failure.value_or("done")));
  }
  for (const ServerRecord& server : round.servers) {
    if (server.failure) {
      servers +=
          fmt::format("<li>server {}: {}</li>\n", Escape(server.id), Escape(*server.failure));
    }
  }
  return list("The round did not finish for every user:", items) +
         list(items.empty() ? "Servers that were not there at its end, though every user is done:"
                            : "Servers that were not there at its end:",
              servers);
}

// The plan's seconds, as the round recorded them or as the evaluator computes them.
std::optional<double> Predicted(const RunDirectory& run, std::size_t n, std::size_t phase) {
  const auto& recorded = run.round->users[n].predicted_s.*kPhases[phase];
  if (recorded) return recorded;
  const PhaseValues& planned = run.evaluation.users[n].delay_s;
  const double seconds[] = {planned.local, planned.upload, planned.server, planned.download};
  return seconds[phase];
}

// Comparable with the prediction: at the plan's clocks and rates where the round says it.
std::optional<double> Measured(const RoundUser& user, std::size_t phase) {
  const auto& at_planned = user.measured_at_planned_s.*kPhases[phase];
  return at_planned ? at_planned : user.measured_s.*kPhases[phase];
}

bool Comparable(std::optional<double> predicted, std::optional<double> measured) {
  return predicted && measured && *predicted > 0.0 && *measured > 0.0 &&
         std::isfinite(*predicted) && std::isfinite(*measured);
}

std::string PhaseRow(const RunDirectory& run, std::size_t n) {
  const RoundUser& user = run.round->users[n];
  std::string row = fmt::format("<tr><td class=\"t\">{}</td>", Escape(user.id));
  double machine_s = 0.0;
  bool any = false;
  for (std::size_t phase = 0; phase < 4; ++phase) {
    const auto predicted = Predicted(run, n, phase);
    const auto measured = Measured(user, phase);
    const auto deviation = Comparable(predicted, measured)
                               ? fmt::format("{:+.0f} %", 100.0 * (*measured / *predicted - 1.0))
                               : std::string("–");
    row += fmt::format("<td class=\"b\">{}</td><td>{}</td><td>{}</td>",
                       WithUnit(predicted, "s"),
                       WithUnit(measured, "s"),
                       deviation);
    if (const auto& raw = user.measured_s.*kPhases[phase]) {
      machine_s += *raw;
      any = true;
    }
  }
  return row + fmt::format("<td class=\"b\">{}</td><td>{}</td><td>{}</td></tr>\n",
                           any ? WithUnit(machine_s, "s") : WithUnit(std::nullopt, "s"),
                           WithUnit(user.upload_bytes, "B"),
                           WithUnit(user.download_bytes, "B"));
}

std::string FactorRow(std::string_view node, const NodeFactors& factors) {
  std::string row = fmt::format("<tr><td class=\"t\">{}</td>", Escape(node));
  for (const Factor* factor : {&factors.compute, &factors.upload, &factors.download}) {
    row += factor->phases == 0
               ? "<td>–</td><td>–</td><td>–</td>"
               : fmt::format("<td class=\"b\">{:.3f}</td><td>{:.3f}</td><td>{}</td>",
                             factor->Mean(),
                             factor->Spread(),
                             factor->phases);
  }
  return row + "</tr>\n";
}

std::string FactorTable(const Round& round) {
  std::string rows;
  for (const RoundUser& user : round.users) {
    if (user.factors.Any()) rows += FactorRow("user " + user.id, user.factors);
  }
  for (const ServerRecord& server : round.servers) {
    if (server.factors.Any()) rows += FactorRow("server " + server.id, server.factors);
  }
  if (rows.empty()) return {};
  return "<p>How many times as long as by its profile each node has taken up to this round's end: "
         "geometric mean and geometric standard deviation of its latest phases.</p>\n"
         "<div class=\"scroll\"><table>\n<thead><tr><th></th><th class=\"g\" "
         "colspan=\"3\">training</th>"
         "<th class=\"g\" colspan=\"3\">upload</th><th class=\"g\" "
         "colspan=\"3\">download</th></tr>\n"
         "<tr><th class=\"t\">node</th><th>factor</th><th>spread</th><th>phases</th><th>factor</th>"
         "<th>spread</th><th>phases</th><th>factor</th><th>spread</th><th>phases</th></tr></"
         "thead>\n" +
         rows + "</table></div>\n";
}

std::string DeviationTable(const std::vector<PhasePoint>& points) {
  std::string table =
      "<table><thead><tr><th class=\"t\">phase</th><th>compared</th><th>median error</th><th>worst"
      "</th></tr></thead>\n";
  for (int phase = 0; phase < 4; ++phase) {
    std::vector<double> errors;
    for (const PhasePoint& point : points) {
      if (point.phase == phase)
        errors.push_back(std::abs(point.measured_s / point.predicted_s - 1));
    }
    table +=
        fmt::format("<tr><td class=\"t\">{}</td><td>{}</td>", kPhaseNames[phase], errors.size());
    if (errors.empty()) {
      table += "<td>–</td><td>–</td></tr>\n";
    } else {
      table += fmt::format("<td>{}</td><td>{}</td></tr>\n",
                           Percent(Median(errors)),
                           Percent(*std::max_element(errors.begin(), errors.end())));
    }
  }
  return table + "</table>\n";
}

}  // namespace

std::string LearningSection(const RunDirectory& run) {
  if (!run.round) return {};
  const Round& round = *run.round;
  std::string head = "<thead><tr><th></th>";
  std::string subhead = "<tr><th class=\"t\">user</th>";
  std::vector<const Measure*> measures;
  for (const Measure& measure : kMeasures) {
    if (!AnyHas(round, measure)) continue;
    measures.push_back(&measure);
    head += fmt::format("<th class=\"g\" colspan=\"4\">{}</th>", measure.title);
    subhead += "<th>base</th><th>after</th><th>all-server</th><th>centralised</th>";
  }
  std::string section = "<section><h2>What was learnt</h2>\n" + Failures(round);
  if (measures.empty())
    return section + "<p>Nothing was measured on held-out data.</p></section>\n";
  section +=
      "<p>On each user's own held-out data: the base model without any adapter, the user's "
      "adapters after the "
      "round, and for comparison adapters trained whole on a server from the user's data "
      "(all-server) and from all users' data together (centralised).</p>\n"
      "<div class=\"scroll\"><table>\n" +
      head + "</tr>\n" + subhead + "</tr></thead>\n";
  const auto row = [&](std::string_view name, std::string_view look, const RoundUser& user) {
    section += fmt::format("<tr{}><td class=\"t\">{}</td>", look, Escape(name));
    for (const Measure* measure : measures) section += QualityCells(*measure, user);
    section += "</tr>\n";
  };
  for (const RoundUser& user : round.users) row(user.id, "", user);
  row("mean", " class=\"sum\"", MeanUser(round));
  return section + "</table></div></section>\n";
}

std::string PhasesSection(const RunDirectory& run) {
  if (!run.round) return {};
  std::vector<PhasePoint> points;
  for (std::size_t n = 0; n < run.round->users.size(); ++n) {
    const RoundUser& user = run.round->users[n];
    for (std::size_t phase = 0; phase < 4; ++phase) {
      const auto predicted = Predicted(run, n, phase);
      const auto measured = Measured(user, phase);
      if (!Comparable(predicted, measured)) continue;
      points.push_back({fmt::format("{} {}", user.id, kPhaseNames[phase]),
                        static_cast<int>(phase),
                        *predicted,
                        *measured});
    }
  }
  const auto& emulation = run.round->emulation;
  std::string section = fmt::format(
      "<section><h2>Predicted and measured times</h2>\n<p>Predicted by the plan; measured in the "
      "round, {}. The column \"here\" is the wall-clock time of the user's four phases on the "
      "machine that ran them.</p>\n",
      emulation
          ? fmt::format(
                "by the wall's clock, {:.3g} s of which are one second of the plan: links "
                "and clocks were held to the plan, which asked for {:.2f} of the "
                "machine's {} cores at its busiest; {} took more than {:.0f} % longer than planned",
                emulation->time_scale,
                emulation->cores_asked,
                emulation->cores,
                Counted(emulation->late.size(), "phase"),
                100.0 * kLate)
      : run.round->by_the_clock
          ? "by the wall's clock, which plans learn from"
          : "as the same work and bytes would take at the plan's clocks and rates");
  if (!points.empty()) {
    section += fmt::format("<div class=\"columns\"><div>{}</div><div>{}</div></div>\n",
                           PhasesSvg(points),
                           DeviationTable(points));
  }
  section += "<div class=\"scroll\"><table>\n<thead><tr><th></th>";
  for (const std::string_view name : kPhaseNames) {
    section += fmt::format("<th class=\"g\" colspan=\"3\">{}</th>", name);
  }
  section += "<th class=\"g\" colspan=\"3\">here</th></tr>\n<tr><th class=\"t\">user</th>";
  for (int phase = 0; phase < 4; ++phase) {
    section += "<th>predicted</th><th>measured</th><th>error</th>";
  }
  section += "<th>time</th><th>sent</th><th>received</th></tr></thead>\n";
  for (std::size_t n = 0; n < run.round->users.size(); ++n) section += PhaseRow(run, n);
  return section + "</table></div>\n" + FactorTable(*run.round) + "</section>\n";
}

}  // namespace dashf::report
