// Plans: arrays and text in and out, and what a plan brings.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bindings.h"
#include "columns.h"
#include "held_plan.h"
#include "interruption.h"
#include "solvers/explanation.h"
#include "solvers/resource_step.h"

namespace nb = nanobind;

namespace dashf::python {
namespace {

constexpr Column<Decision> kResources[] = {
    {"local_clock_hz", [](Decision& d) -> double& { return d.local_clock_hz; }},
    {"tx_power_w", [](Decision& d) -> double& { return d.tx_power_w; }},
    {"bandwidth_hz", [](Decision& d) -> double& { return d.bandwidth_hz; }},
    {"server_tx_power_w", [](Decision& d) -> double& { return d.server_tx_power_w; }},
    {"server_clock_hz", [](Decision& d) -> double& { return d.server_clock_hz; }}};

// Whose scenario's digest is found only where it is written: that takes longer than such a plan.
PlanDocument NewDocument(std::string method, Plan plan) {
  return {.scenario_sha256 = "",
          .method = std::move(method),
          .version = DASHF_VERSION,
          .termination = Termination::kConverged,
          .plan = std::move(plan),
          .history = {}};
}

// Who is where, of which every server exists and every split is a number; the rest is the
// evaluator's to say.
std::vector<solvers::Choice> ReadChoices(const Scenario& scenario,
                                         const Integers& server,
                                         const Integers& local_layers) {
  const std::size_t users = scenario.users.size();
  if (server.shape(0) != users || local_layers.shape(0) != users) {
    RaiseBadInput("decisions", "must have one server and one split per user");
  }
  std::vector<solvers::Choice> choices(users);
  for (std::size_t n = 0; n < users; ++n) {
    if (server(n) < 0 || server(n) >= static_cast<std::int64_t>(scenario.servers.size())) {
      RaiseBadInput("server[" + std::to_string(n) + "]",
                    "must be from 0 to " + std::to_string(scenario.servers.size() - 1) + ", got " +
                        std::to_string(server(n)));
    }
    const int layers = scenario.ProfileOf(scenario.users[n]).layers();
    if (local_layers(n) < 0 || local_layers(n) > layers) {
      RaiseBadInput("local_layers[" + std::to_string(n) + "]",
                    "must be from 0 to " + std::to_string(layers) + ", got " +
                        std::to_string(local_layers(n)));
    }
    choices[n] = {static_cast<int>(server(n)), static_cast<int>(local_layers(n))};
  }
  return choices;
}

PlanPointer FromArrays(const ScenarioPointer& scenario,
                       const std::string& method,
                       const Integers& server,
                       const Integers& local_layers,
                       const nb::dict& resources) {
  Plan plan;
  for (const auto& choice : ReadChoices(scenario->scenario(), server, local_layers)) {
    plan.push_back({.server = choice.server, .local_layers = choice.local_layers});
  }
  Assign(kResources, resources, &plan);
  return std::make_shared<HeldPlan>(scenario, NewDocument(method, std::move(plan)));
}

// Step B: the best resources, or equal shares, of who is where.
PlanPointer Allocate(const ScenarioPointer& scenario,
                     const std::string& method,
                     const Integers& server,
                     const Integers& local_layers,
                     bool equal_shares) {
  const auto choices = ReadChoices(scenario->scenario(), server, local_layers);
  const auto problem = OrRaise(solvers::MakeScrProblem(scenario->scenario()));
  if (!solvers::IsAdmissible(problem, choices)) {
    Plan plan;  // The evaluator has the words for what is broken.
    for (const auto& choice : choices) {
      plan.push_back({.server = choice.server, .local_layers = choice.local_layers});
    }
    for (const Violation& violation : Evaluate(scenario->scenario(), plan).violations) {
      if (violation.rule.find("never ends") != std::string::npos) continue;  // It has no resources.
      Raise({ErrorKind::kInfeasible, violation.where, violation.rule});
    }
    Raise({ErrorKind::kInfeasible, "decisions", "break a limit"});
  }
  PlanDocument document = NewDocument(method, {});
  {
    const Unlocked without_lock;
    if (equal_shares) {
      document.plan = solvers::EqualShares(problem, choices);
    } else {
      auto best = solvers::MaximizeScrForAssociation(problem, choices);
      document.plan = std::move(best.plan);
      document.termination = best.termination;
    }
  }
  return std::make_shared<HeldPlan>(scenario, std::move(document));
}

PlanPointer Parse(const ScenarioPointer& scenario,
                  const std::string& name,
                  const std::string& text) {
  Expected<PlanDocument> document;
  {
    const Unlocked without_lock;
    document = ParsePlan(name, text, scenario->loaded());
  }
  return std::make_shared<HeldPlan>(scenario, OrRaise(std::move(document)));
}

PlanPointer Restore(const ScenarioPointer& scenario,
                    const std::string& text,
                    bool search_interrupted,
                    bool interrupted,
                    double elapsed_s) {
  PlanPointer plan = Parse(scenario, "plan", text);
  plan->search_interrupted = search_interrupted;
  plan->interrupted = interrupted;
  plan->elapsed_s = elapsed_s;
  return plan;
}

PlanPointer Read(const ScenarioPointer& scenario, const std::string& path) {
  Expected<PlanDocument> document;
  {
    const Unlocked without_lock;
    document = ReadPlan(path, scenario->loaded());
  }
  return std::make_shared<HeldPlan>(scenario, OrRaise(std::move(document)));
}

std::string Write(HeldPlan& self) {
  PlanDocument document = self.document;
  if (document.scenario_sha256.empty()) document.scenario_sha256 = self.scenario->loaded().sha256;
  return WritePlan(self.scenario->scenario(), document);
}

nb::list History(HeldPlan& self) {
  nb::list rows;
  for (const IterationRecord& row : self.document.history) {
    rows.append(nb::make_tuple(row.iteration, row.scr, row.residual, row.elapsed_s, row.step));
  }
  return rows;
}

nb::list Violations(HeldPlan& self) {
  nb::list rows;
  for (const Violation& row : self.evaluation.violations) {
    rows.append(nb::make_tuple(row.where, row.rule, row.value, row.limit));
  }
  return rows;
}

nb::object ToPython(const Scenario& scenario, const std::optional<solvers::Alternative>& other) {
  if (!other) return nb::none();
  return nb::make_tuple(scenario.servers[static_cast<std::size_t>(other->choice.server)].id,
                        other->choice.local_layers,
                        other->scr_change);
}

nb::tuple ExplainPlan(HeldPlan& self, const std::vector<int>& users) {
  const Scenario& scenario = self.scenario->scenario();
  Expected<solvers::Explanation> explained;
  {
    const Unlocked without_lock;
    explained = solvers::Explain(scenario, self.document.plan, users);
  }
  const solvers::Explanation explanation = OrRaise(std::move(explained));
  constexpr const char* kNames[] = {"bandwidth", "power", "clock"};
  nb::list capacities, reasons;
  for (const solvers::CapacityValue& value : explanation.capacities) {
    capacities.append(nb::make_tuple(scenario.servers[static_cast<std::size_t>(value.server)].id,
                                     kNames[static_cast<int>(value.resource)],
                                     value.used_share,
                                     value.scr_change_per_percent));
  }
  for (const solvers::UserReason& reason : explanation.users) {
    reasons.append(
        nb::make_tuple(scenario.users[static_cast<std::size_t>(reason.user)].id,
                       scenario.servers[static_cast<std::size_t>(reason.choice.server)].id,
                       reason.choice.local_layers,
                       ToPython(scenario, reason.other_split),
                       ToPython(scenario, reason.other_server)));
  }
  return nb::make_tuple(explanation.unused_scr, capacities, reasons);
}

void BindArrays(nb::class_<HeldPlan>& type) {
  type.def_prop_ro("server",
                   [](HeldPlan& self) {
                     return View(
                         self.document.plan, &self.document.plan.front().server, nb::find(self));
                   })
      .def_prop_ro("local_layers",
                   [](HeldPlan& self) {
                     return View(self.document.plan,
                                 &self.document.plan.front().local_layers,
                                 nb::find(self));
                   })
      .def("resource",
           [](HeldPlan& self, std::string_view name) {
             const Column<Decision>& column = ColumnNamed(kResources, name);
             auto& first = const_cast<Decision&>(self.document.plan.front());  // It is only read.
             return View(self.document.plan, &column.of(first), nb::find(self));
           })
      .def_prop_ro("user_delay_s",
                   [](HeldPlan& self) {
                     const auto& users = self.evaluation.users;
                     return View(users, &users.front().delay_s.local, nb::find(self), 4);
                   })
      .def_prop_ro("user_energy_j",
                   [](HeldPlan& self) {
                     const auto& users = self.evaluation.users;
                     return View(users, &users.front().energy_j.local, nb::find(self), 4);
                   })
      .def_prop_ro("user_score", [](HeldPlan& self) {
        const auto& users = self.evaluation.users;
        return View(users, &users.front().score, nb::find(self));
      });
}

}  // namespace

void BindPlan(nb::module_& module) {
  nb::class_<HeldPlan> type(module, "Plan", "A plan of a scenario; it never changes.");
  BindArrays(type);
  type.def_prop_ro("scenario", [](HeldPlan& self) { return self.scenario; })
      .def_prop_ro("method", [](HeldPlan& self) { return self.document.method; })
      .def_prop_ro("seed", [](HeldPlan& self) { return self.document.seed; })
      .def_prop_ro("termination",
                   [](HeldPlan& self) { return std::string(Name(self.document.termination)); })
      .def_ro("search_interrupted", &HeldPlan::search_interrupted)
      .def_prop_ro("history", History)
      .def_prop_ro("feasible", [](HeldPlan& self) { return self.evaluation.feasible; })
      .def_prop_ro("violations", Violations)
      .def_prop_ro("scr", [](HeldPlan& self) { return self.evaluation.scr; })
      .def_prop_ro("score", [](HeldPlan& self) { return self.evaluation.score; })
      .def_prop_ro("cost", [](HeldPlan& self) { return self.evaluation.cost; })
      .def_prop_ro("delay_s", [](HeldPlan& self) { return self.evaluation.delay_s; })
      .def_prop_ro("energy_j", [](HeldPlan& self) { return self.evaluation.energy_j; })
      .def_prop_ro("bound_status",
                   [](HeldPlan& self) { return std::string(Name(self.status.bound)); })
      .def_prop_ro("scr_upper", [](HeldPlan& self) { return self.status.scr_upper; })
      .def_prop_ro("gap", [](HeldPlan& self) { return self.status.gap; })
      .def_ro("interrupted", &HeldPlan::interrupted)
      .def_ro("elapsed_s", &HeldPlan::elapsed_s)
      .def("explain", ExplainPlan)
      .def("to_json", Write, nb::call_guard<Unlocked>());
  module.def("plan_from_arrays", FromArrays);
  module.def("allocate", Allocate);
  module.def("parse_plan", Parse);
  module.def("read_plan", Read);
  module.def("restore_plan", Restore);
}

}  // namespace dashf::python
