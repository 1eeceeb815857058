#include "train/profile.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/peak_memory.h"
#include "train/compute.h"
#include "train/peft_io.h"

namespace dashf::train {
namespace {

// Examples spread evenly over the data set, of about `tokens_max` tokens in all.
std::vector<corpus::Example> Sample(const std::vector<corpus::Example>& examples, int tokens_max) {
  std::size_t total = 0;
  for (const corpus::Example& example : examples) total += example.tokens.size();
  const double share =
      std::min(1.0, tokens_max / static_cast<double>(std::max<std::size_t>(1, total)));
  std::vector<corpus::Example> sample;
  double due = 1.0;  // At least the first.
  for (const corpus::Example& example : examples) {
    if (due >= 1.0) {
      sample.push_back(example);
      due -= 1.0;
    }
    due += share;
  }
  return sample;
}

// The least processor time of `repeats` runs.
Expected<double> LeastCpuS(int repeats, const std::function<Expected<PhaseReport>()>& run) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    const Expected<PhaseReport> report = run();
    if (!report) return tl::unexpected(report.error());
    least = std::min(least, report->cpu_s);
  }
  return least;
}

}  // namespace

Expected<PhaseCosts> MeasurePhases(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const ProfileOptions& options) {
  const int layers = model.config().layers;
  const Expected<Adapter> adapter = InitialAdapter(model.config(), options.adapter, 1);
  if (!adapter) return tl::unexpected(adapter.error());
  const std::vector<corpus::Example> sample = Sample(examples, options.tokens_max);
  PhaseCosts costs;
  for (const corpus::Example& example : sample) {
    costs.tokens += static_cast<double>(example.tokens.size());
  }
  for (int layer = 1; layer <= layers; ++layer) {
    costs.layer_bytes.push_back(static_cast<double>(EncodeLayers(*adapter, layer, layer).size()));
  }
  TrainOptions warm_up = options.train;  // First calls load code and grow the heap.
  warm_up.epochs = 1;
  Adapter trained = *adapter;
  if (auto warm = TrainAllLayers(model, sample, warm_up, &trained); !warm) {
    return tl::unexpected(warm.error());
  }
  costs.gemm_flop_per_s = MeasureGemmFlopPerS();
  for (int k = 0; k <= layers; ++k) {
    ResetPeakMemory();
    const auto user_s = LeastCpuS(options.repeats, [&] {
      trained = *adapter;
      return TrainUserPhase(model, sample, k, options.objective, options.train, &trained);
    });
    if (!user_s) return tl::unexpected(user_s.error());
    costs.user_memory_bytes.push_back(k == 0 ? 0.0 : PeakMemoryBytes());
    const auto server_s = LeastCpuS(options.repeats, [&] {
      trained = *adapter;
      return TrainServerPhase(model, sample, k, options.train, &trained);
    });
    if (!server_s) return tl::unexpected(server_s.error());
    costs.user_s.push_back(*user_s);
    costs.server_s.push_back(*server_s);
  }
  return costs;
}

}  // namespace dashf::train
