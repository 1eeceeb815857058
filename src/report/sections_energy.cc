// What the round's energy is by the model, with the times that were measured.
#include <fmt/format.h>

#include <array>

#include "report/html.h"
#include "report/sections.h"

namespace dashf::report {
namespace {

constexpr std::size_t kPhaseCount = 4;
using Energies = std::array<std::optional<double>, kPhaseCount>;

Energies Planned(const PhaseValues& energy_j) {
  return {energy_j.local, energy_j.upload, energy_j.server, energy_j.download};
}

// A phase draws the plan's power for as long as it took.
Energies AtMeasuredTimes(const UserEvaluation& planned, const RoundUser& user) {
  static constexpr double PhaseValues::*kPlanned[] = {
      &PhaseValues::local, &PhaseValues::upload, &PhaseValues::server, &PhaseValues::download};
  static constexpr std::optional<double> PhaseSeconds::*kMeasured[] = {
      &PhaseSeconds::local, &PhaseSeconds::upload, &PhaseSeconds::server, &PhaseSeconds::download};
  Energies energies;
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    const double energy_j = planned.energy_j.*kPlanned[phase];
    const double planned_s = planned.delay_s.*kPlanned[phase];
    const auto& took_s = user.measured_at_planned_s.*kMeasured[phase];
    if (took_s && planned_s > 0.0) energies[phase] = energy_j / planned_s * *took_s;
  }
  return energies;
}

std::optional<double> Sum(const Energies& energies) {
  std::optional<double> sum;
  for (const auto& energy_j : energies) {
    if (energy_j) sum = sum.value_or(0.0) + *energy_j;
  }
  return sum;
}

// Pairs of planned and measured, the phases' and their sum's.
std::string Cells(const Energies& planned, const Energies& measured) {
  std::string cells;
  const auto add = [&cells](const std::optional<double>& a, const std::optional<double>& b) {
    cells += fmt::format("<td class=\"b\">{}</td><td>{}</td>", WithUnit(a, "J"), WithUnit(b, "J"));
  };
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) add(planned[phase], measured[phase]);
  add(Sum(planned), Sum(measured));
  return cells;
}

// Its last attempt was of this plan, whose powers the table is about.
bool IsOfPlan(const RunDirectory& run, std::size_t n) {
  const Decision& decision = run.plan.plan[n];
  const auto server = static_cast<std::size_t>(decision.server);
  return run.round->users[n].server == run.loaded.scenario.servers[server].id &&
         run.round->users[n].local_layers == decision.local_layers;
}

void Add(const Energies& energies, Energies* sum) {
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    if (energies[phase]) (*sum)[phase] = (*sum)[phase].value_or(0.0) + *energies[phase];
  }
}

// What meters have counted, apart from the model's figures.
std::string MeterTable(const std::vector<RoundUser>& users) {
  std::string rows;
  std::optional<double> local_j, server_j;
  const auto add = [](const std::optional<double>& energy_j, std::optional<double>* sum_j) {
    if (energy_j) *sum_j = sum_j->value_or(0.0) + *energy_j;
  };
  for (const RoundUser& user : users) {
    if (!user.local_energy_j && !user.server_energy_j) continue;
    add(user.local_energy_j, &local_j);
    add(user.server_energy_j, &server_j);
    rows += fmt::format("<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td></tr>\n",
                        Escape(user.id),
                        WithUnit(user.local_energy_j, "J"),
                        WithUnit(user.server_energy_j, "J"));
  }
  if (rows.empty()) return {};
  return fmt::format(
      "<h3>Measured</h3>\n<p>By the machines' own meters: RAPL's counters of the processor "
      "packages, or a battery's gauge, read before and after every step of training. All that the "
      "machine draws in that time counts, idle power and other programs' work included; nodes of "
      "one machine have the same meter.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th "
      "class=\"t\">user</th><th>local training</th><th>server training</th></tr></thead>\n{}"
      "<tr class=\"sum\"><td class=\"t\">all</td><td>{}</td><td>{}</td></tr>\n</table></div>\n",
      rows,
      WithUnit(local_j, "J"),
      WithUnit(server_j, "J"));
}

}  // namespace

std::string EnergySection(const RunDirectory& run) {
  if (!run.round) return {};
  Energies planned_j, measured_j;
  std::string rows;
  for (std::size_t n = 0; n < run.round->users.size(); ++n) {
    const RoundUser& user = run.round->users[n];
    const Energies planned = Planned(run.evaluation.users[n].energy_j);
    const Energies measured =
        IsOfPlan(run, n) ? AtMeasuredTimes(run.evaluation.users[n], user) : Energies{};
    Add(planned, &planned_j);
    Add(measured, &measured_j);
    rows += fmt::format(
        "<tr><td class=\"t\">{}</td>{}</tr>\n", Escape(user.id), Cells(planned, measured));
  }
  const std::string meters = MeterTable(run.round->users);
  if (!Sum(measured_j) && meters.empty()) return {};
  return fmt::format(
      "<section><h2>Energy</h2>\n<p>By the model: the plan's, from the evaluator, and that of the "
      "same powers and clocks for as long as each phase took (the column \"measured\" of the times "
      "above). {}A user that finished by a later plan has none.</p>\n<div "
      "class=\"scroll\"><table>\n<thead><tr><th></th>"
      "<th class=\"g\" colspan=\"2\">local training</th><th class=\"g\" colspan=\"2\">upload</th>"
      "<th class=\"g\" colspan=\"2\">server training</th><th class=\"g\" "
      "colspan=\"2\">download</th>"
      "<th class=\"g\" colspan=\"2\">all</th></tr>\n<tr><th "
      "class=\"t\">user</th>{}</tr></thead>\n{}"
      "<tr class=\"sum\"><td class=\"t\">all</td>{}</tr>\n</table></div>\n{}</section>\n",
      meters.empty() ? "No meter was read. " : "",
      "<th>planned</th><th>as it went</th><th>planned</th><th>as it went</th><th>planned</th>"
      "<th>as it went</th><th>planned</th><th>as it went</th><th>planned</th><th>as it went</th>",
      rows,
      Cells(planned_j, measured_j),
      meters);
}

}  // namespace dashf::report
