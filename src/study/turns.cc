#include "study/turns.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "train/evaluate.h"

namespace dashf::study {
namespace {

Expected<void> TakeTurn(const train::Model& model,
                        const std::vector<corpus::Example>& examples,
                        int k,
                        const RoundsOfTurns& rounds,
                        std::uint64_t seed,
                        train::Adapter* adapter) {
  train::TrainOptions options = rounds.training;
  options.seed = seed;
  options.epochs = rounds.epochs_user;
  const auto user = train::TrainUserPhase(model, examples, k, rounds.objective, options, adapter);
  if (!user) return tl::unexpected(user.error());
  options.epochs = rounds.epochs_server;
  const auto server = train::TrainServerPhase(model, examples, k, options, adapter);
  if (!server) return tl::unexpected(server.error());
  if (rounds.epochs_joint == 0 || k == model.config().layers) return {};
  options.epochs = rounds.epochs_joint;
  const auto joint = train::TrainAllLayers(model, examples, options, adapter);
  if (!joint) return tl::unexpected(joint.error());
  return {};
}

}  // namespace

int NearestSplit(int k, int planned_layers, int layers) {
  DASHF_CHECK(k >= 0 && k <= planned_layers && layers >= 1);
  if (k == 0 || k == planned_layers || layers == 1) return k == planned_layers ? layers : 0;
  const double share = static_cast<double>(k) / planned_layers;
  return std::clamp(static_cast<int>(std::lround(share * layers)), 1, layers - 1);
}

std::vector<std::vector<std::size_t>> ExamplesOfTurns(std::span<const std::optional<Turn>> turns,
                                                      double examples_per_round,
                                                      std::size_t examples) {
  std::vector<std::vector<std::size_t>> of_turns;
  std::size_t next = 0;
  for (const std::optional<Turn>& turn : turns) {
    std::vector<std::size_t>& here = of_turns.emplace_back();
    if (!turn) continue;
    const auto wanted =
        static_cast<std::size_t>(std::max(1.0, std::round(turn->data_part * examples_per_round)));
    for (std::size_t i = 0; i < std::min(wanted, examples); ++i) {
      here.push_back(next);
      next = (next + 1) % examples;
    }
  }
  return of_turns;
}

Expected<std::vector<double>> LossesOver(const train::Model& model,
                                         const UserData& data,
                                         std::span<const std::optional<Turn>> turns,
                                         const RoundsOfTurns& rounds,
                                         const std::vector<int>& after,
                                         std::uint64_t seed) {
  auto adapter = train::InitialAdapter(model.config(), rounds.adapter, seed);
  if (!adapter) return tl::unexpected(adapter.error());
  const auto of_turns = ExamplesOfTurns(turns, rounds.examples_per_round, data.train.size());
  std::vector<double> losses;
  std::size_t round = 0;
  for (const int asked : after) {
    for (; round < static_cast<std::size_t>(asked); ++round) {
      if (!turns[round]) continue;
      std::vector<corpus::Example> examples;
      for (const std::size_t i : of_turns[round]) examples.push_back(data.train[i]);
      const std::uint64_t of_round = Rng(seed).Stream("round").Stream(round).Next();
      if (auto done = TakeTurn(model, examples, turns[round]->k, rounds, of_round, &*adapter);
          !done) {
        return tl::unexpected(done.error());
      }
    }
    const auto quality = train::Evaluate(model, &*adapter, data.test);
    if (!quality) return tl::unexpected(quality.error());
    losses.push_back(quality->loss);
  }
  return losses;
}

}  // namespace dashf::study
