// A plan as Python holds it: with its scenario, what is known of it and what it brings.
#pragma once

#include <memory>
#include <utility>

#include "held_scenario.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"

namespace dashf::python {

// Never changed once it is made. Every server of the document's plan exists.
struct HeldPlan {
  HeldPlan(ScenarioPointer of, PlanDocument made)
      : scenario(std::move(of)),
        document(std::move(made)),
        evaluation(Evaluate(scenario->scenario(), document.plan)),
        status(StatusOf(document, evaluation)) {}

  const ScenarioPointer scenario;
  const PlanDocument document;
  const Evaluation evaluation;
  const PlanStatus status;
  bool search_interrupted = false;  // By Ctrl-C.
  bool interrupted = false;         // The search, or the proof of its bound.
  double elapsed_s = 0.0;           // Of the search.
};
using PlanPointer = std::shared_ptr<HeldPlan>;

}  // namespace dashf::python
