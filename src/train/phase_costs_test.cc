#include "train/phase_costs.h"

#include <gmock/gmock.h>

#include "train/flop.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

// A small model's operations as FlopOfLayers counts them are such a law, so that depths 1 and 3
// foretell every phase of 40 layers.
TEST(PhaseLaw, OfOneAndThreeLayersForetellsTheOperationsOfForty) {
  ModelConfig model = testing::TinyConfig();
  const AdapterConfig adapter{.lora = {.rank = 2, .alpha = 4.0, .targets = {"q_proj", "up_proj"}}};
  const Volume volume = VolumeOf(testing::RandomExamples(model, 5, 1));
  const auto flop = [&](const PhaseShape& phase) {
    model.layers = phase.layers;
    const PhaseFlop one =
        FlopOfLayers(model, adapter, volume, phase.first, phase.last, phase.objective);
    return one.once + phase.epochs * one.pass;
  };
  for (const auto objective : {UserObjective::kEarlyExit, UserObjective::kFullDepth}) {
    std::vector<std::pair<PhaseShape, double>> measured;
    const auto measure = [&](const PhaseShape& phase) {
      measured.emplace_back(phase, flop(phase));
    };
    for (const int layers : {1, 3}) {
      for (int k = 1; k <= layers; ++k) {
        measure({layers, 1, k, objective});
        measure({layers, k, layers, UserObjective::kFullDepth});
      }
    }
    const PhaseLaw law = PhaseLaw::Fit(measured);
    for (int k = 0; k <= 40; ++k) {
      const PhaseShape user{40, 1, k, objective, 3};
      const PhaseShape server{40, k + 1, 40, UserObjective::kFullDepth, 3};
      EXPECT_NEAR(law.Cost(user), flop(user), 1e-9 * flop({40, 1, 40}));
      EXPECT_NEAR(law.Cost(server), k == 40 ? 0.0 : flop(server), 1e-9 * flop({40, 1, 40}));
    }
  }
}

}  // namespace
}  // namespace dashf::train
