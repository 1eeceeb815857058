// What the extension module is made of.
#pragma once

#include <nanobind/nanobind.h>

namespace dashf::python {

void BindScenario(nanobind::module_& module);
void BindGeneration(nanobind::module_& module);
void BindPlan(nanobind::module_& module);
void BindSolving(nanobind::module_& module);

}  // namespace dashf::python
