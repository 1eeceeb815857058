// What was decided: headline, map, and the plan per user.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/counted.h"
#include "report/charts.h"
#include "report/html.h"
#include "report/sections.h"

namespace dashf::report {
namespace {

std::string Tile(std::string_view value, std::string_view label) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", value, label);
}

// The mean of a measured number over the users that have it both before and after.
struct Change {
  double before = 0.0;
  double after = 0.0;
  int users = 0;
};

Change MeanChange(const Round& round, std::optional<double> Quality::*member) {
  Change change;
  for (const RoundUser& user : round.users) {
    if (!(user.before.*member) || !(user.after.*member)) continue;
    change.before += *(user.before.*member);
    change.after += *(user.after.*member);
    ++change.users;
  }
  if (change.users > 0) {
    change.before /= change.users;
    change.after /= change.users;
  }
  return change;
}

std::string RoundTiles(const Round& round) {
  const auto failed = std::count_if(round.users.begin(),
                                    round.users.end(),
                                    [](const RoundUser& user) { return user.failure.has_value(); });
  std::string tiles = Tile(
      fmt::format(
          "{} of {}", static_cast<std::ptrdiff_t>(round.users.size()) - failed, round.users.size()),
      "users finished the round");
  if (const Change loss = MeanChange(round, &Quality::loss); loss.users > 0) {
    tiles += Tile(fmt::format("{:.3f} → {:.3f}", loss.before, loss.after),
                  "mean held-out loss, base → with adapter");
  }
  if (const Change match = MeanChange(round, &Quality::exact_match); match.users > 0) {
    tiles += Tile(fmt::format("{} → {}", Percent(match.before), Percent(match.after)),
                  "mean exact match, base → with adapter");
  }
  return tiles;
}

// A share of a server's resource as amount and bar.
std::string Share(double amount, double total, std::string_view unit) {
  const double share = std::clamp(total > 0.0 ? amount / total : 0.0, 0.0, 1.0);
  return fmt::format("<td>{} <span class=\"bar short\"><i style=\"width:{:.0f}%\"></i></span></td>",
                     WithUnit(amount, unit),
                     100.0 * share);
}

std::string PlanRow(const RunDirectory& run, std::size_t n) {
  const Scenario& scenario = run.loaded.scenario;
  const User& user = scenario.users[n];
  const Decision& decision = run.plan.plan[n];
  const Server& server = scenario.servers[static_cast<std::size_t>(decision.server)];
  std::string row = fmt::format(
      "<tr><td class=\"t\">{}</td><td class=\"t\"><span class=\"dot\" style=\"background:{}\">"
      "</span>{}</td><td>{} of {}</td>",
      Escape(Label(user)),
      ServerColour(decision.server),
      Escape(Label(server)),
      decision.local_layers,
      scenario.ProfileOf(user).layers());
  row += Share(decision.local_clock_hz, user.compute.clock_hz_max, "Hz");
  row += Share(decision.tx_power_w, user.tx_power_w_max, "W");
  row += Share(decision.bandwidth_hz, server.bandwidth_hz, "Hz");
  row += Share(decision.server_tx_power_w, server.tx_power_w_max, "W");
  row += Share(decision.server_clock_hz, server.compute.clock_hz_max, "Hz");
  const UserEvaluation& evaluation = run.evaluation.users[n];
  return row + fmt::format("<td>{}</td><td>{}</td><td>{}</td></tr>\n",
                           WithUnit(evaluation.delay_s.Sum(), "s"),
                           WithUnit(evaluation.energy_j.Sum(), "J"),
                           Plain(evaluation.score, 2));
}

// How much of each server its users have together.
std::string ServersTable(const RunDirectory& run) {
  std::string table =
      "<table>\n<thead><tr><th class=\"t\">server</th><th>users</th><th>bandwidth</th><th>power"
      "</th><th>clock</th></tr></thead>\n";
  const std::vector<Server>& servers = run.loaded.scenario.servers;
  for (std::size_t m = 0; m < servers.size(); ++m) {
    int users = 0;
    double bandwidth_hz = 0.0, tx_power_w = 0.0, clock_hz = 0.0;
    for (const Decision& decision : run.plan.plan) {
      if (decision.server != static_cast<int>(m)) continue;
      ++users;
      bandwidth_hz += decision.bandwidth_hz;
      tx_power_w += decision.server_tx_power_w;
      clock_hz += decision.server_clock_hz;
    }
    table += fmt::format(
        "<tr><td class=\"t\"><span class=\"dot\" style=\"background:{}\"></span>{}</td><td>{}"
        "</td>{}{}{}</tr>\n",
        ServerColour(static_cast<int>(m)),
        Escape(Label(servers[m])),
        users,
        Share(bandwidth_hz, servers[m].bandwidth_hz, "Hz"),
        Share(tx_power_w, servers[m].tx_power_w_max, "W"),
        Share(clock_hz, servers[m].compute.clock_hz_max, "Hz"));
  }
  return table + "</table>\n";
}

std::string Violations(const Evaluation& evaluation) {
  if (evaluation.feasible) return {};
  std::string list = "<p class=\"bad\">This plan is infeasible:</p><ul class=\"bad\">\n";
  for (const Violation& violation : evaluation.violations) {
    list += fmt::format("<li>{}: {} (value {:.6g}, limit {:.6g})</li>\n",
                        Escape(violation.where),
                        Escape(violation.rule),
                        violation.value,
                        violation.limit);
  }
  return list + "</ul>\n";
}

}  // namespace

std::string HeadlineSection(const RunDirectory& run) {
  const Scenario& scenario = run.loaded.scenario;
  const bool sum = scenario.objective.delay == DelayMode::kSum;
  std::string tiles =
      Tile(fmt::format("{:.4g}", run.evaluation.scr), "service-cost ratio (SCR) of the plan");
  if (run.round && run.round->gap) {
    tiles += Tile(Percent(run.round->gap, 2), "below the exhaustive optimum");
  }
  tiles += Tile(WithUnit(run.evaluation.delay_s, "s"),
                sum ? "delay, summed over users" : "delay, both barriers");
  tiles += Tile(WithUnit(run.evaluation.energy_j, "J"), "energy");
  if (run.round) tiles += RoundTiles(*run.round);
  return fmt::format(
      "<header><h1>{}</h1>\n<p>{}, {}, planned by <b>{}</b>; delay mode {}. "
      "Each "
      "user trains the adapters of its first layers and sends them with its data to one server, "
      "which trains the rest and sends the result back.</p>\n<div class=\"tiles\">{}</div></header>"
      "\n",
      Escape(scenario.name),
      Counted(scenario.users.size(), "user"),
      Counted(scenario.servers.size(), "edge server"),
      Escape(run.plan.method),
      sum ? "sum" : "makespan",
      tiles);
}

std::string PlanSection(const RunDirectory& run) {
  const Scenario& scenario = run.loaded.scenario;
  std::string section = fmt::format(
      "<section><h2>The plan</h2>\n{}<div class=\"columns "
      "plan\"><div>{}</div><div>{}</div></div>\n<p>Discs are users in the "
      "colour of their server. Bars show the share of the device's or the server's whole "
      "resource.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th class=\"t\">user</th><th "
      "class=\"t\">"
      "server</th><th>layers<br>at user</th><th>user clock</th><th>user "
      "power</th><th>bandwidth</th>"
      "<th>server power</th><th>server "
      "clock</th><th>delay</th><th>energy</th><th>score</th></tr></thead>\n",
      Violations(run.evaluation),
      MapSvg(run),
      ServersTable(run));
  for (std::size_t n = 0; n < scenario.users.size(); ++n) section += PlanRow(run, n);
  return section + "</table></div></section>\n";
}

}  // namespace dashf::report
