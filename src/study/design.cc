#include "study/design.h"

#include <algorithm>
#include <cmath>

#include "study/cost.h"

namespace dashf::study {

using train::UserObjective;

std::vector<Arm> ArmsOf(const Design& design, int layers) {
  std::vector<Arm> arms;
  for (const int end : {0, layers}) {
    if (std::find(design.splits.begin(), design.splits.end(), end) == design.splits.end()) continue;
    arms.push_back({{}, UserObjective::kFullDepth, end});
  }
  for (const Schedule& schedule : design.schedules) {
    for (const UserObjective objective : design.objectives) {
      for (const int k : design.splits) {
        if (k > 0 && k < layers) arms.push_back({schedule, objective, k});
      }
    }
  }
  return arms;
}

std::vector<Phase> PhasesOf(const Arm& arm,
                            const Design& design,
                            int layers,
                            const UserData& data) {
  const int steps = design.passes * StepsPerPass(data, design.training);
  return PhasesOf(arm.schedule, arm.k, layers, arm.objective, steps);
}

std::vector<Phase> Reference(const Design& design, const UserData& data) {
  const int steps = design.passes * StepsPerPass(data, design.training);
  return {{Site::kServer, 0, UserObjective::kFullDepth, steps}};
}

std::vector<Phase> ReferenceOfEqualFlop(const std::vector<Phase>& phases,
                                        const Design& design,
                                        const train::ModelConfig& model,
                                        const UserData& data) {
  const int per_pass = StepsPerPass(data, design.training);
  const train::Volume volume = train::VolumeOf(data.train, model.sliding_window);
  std::vector<Phase> reference = Reference(design, data);
  const double all = FlopOf(model, design.adapter, volume, per_pass, phases).Total();
  const double whole = FlopOf(model, design.adapter, volume, per_pass, reference).Total();
  reference[0].steps = std::max(1, static_cast<int>(std::lround(reference[0].steps * all / whole)));
  return reference;
}

}  // namespace dashf::study
