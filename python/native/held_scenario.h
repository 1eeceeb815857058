// A scenario as Python holds it: never changed once it is made, so that any number of threads may
// plan it while others look at its arrays.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "scenario/scenario_io.h"

namespace dashf::python {

class HeldScenario {
 public:
  // `sha256` is that of the file it was read from; empty: that of the file that it would make.
  HeldScenario(Scenario scenario, std::string sha256)
      : loaded_{std::move(scenario), std::move(sha256)} {}

  const Scenario& scenario() const { return loaded_.scenario; }
  // With its SHA-256. From any thread.
  const LoadedScenario& loaded();

 private:
  LoadedScenario loaded_;
  std::once_flag named_;
};
using ScenarioPointer = std::shared_ptr<HeldScenario>;

}  // namespace dashf::python
