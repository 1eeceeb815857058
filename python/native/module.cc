// dashf._core: the planner as python/dashf/ needs it, without conveniences; that package is what
// people use.
#include "bindings.h"

NB_MODULE(_core, module) {
  // What a traceback holds at the interpreter's end is no leak: IPython keeps the last one.
  nanobind::set_leak_warnings(false);
  module.attr("version") = DASHF_VERSION;
  dashf::python::BindScenario(module);
  dashf::python::BindGeneration(module);
  dashf::python::BindPlan(module);
  dashf::python::BindSolving(module);
}
