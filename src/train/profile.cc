#include "train/profile.h"

#include <Eigen/Dense>
#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/peak_memory.h"
#include "train/compute.h"
#include "train/flop.h"
#include "train/peft_io.h"
#include "train/phase_costs.h"

namespace dashf::train {
namespace {

// What the phases reach of that rate of float32 products, about.
double ShareOfGemm(const llama::Storage& storage) {
  return storage.arithmetic == llama::Arithmetic::kBFloat16 ? 1.2 : 0.7;
}
constexpr double kExtrapolationS = 60.0;
constexpr int kDepths[] = {1, 3};  // Two, or a layer could not be told from what is around it.
constexpr int kCheckDepth = kExtrapolationLayersMin - 1;
constexpr int kCheckSplit = 2;

// Examples spread evenly over the data set, of about `tokens_max` tokens in all.
std::vector<corpus::Example> Sample(const std::vector<corpus::Example>& examples,
                                    double tokens_max) {
  const double total = VolumeOf(examples).tokens;
  const double share = std::min(1.0, tokens_max / std::max(1.0, total));
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

PhaseShape UserShape(int layers, int k, const ProfileOptions& options) {
  return {layers, 1, k, options.objective, options.train.epochs};
}

PhaseShape ServerShape(int layers, int k, const ProfileOptions& options) {
  return {layers, k + 1, layers, UserObjective::kFullDepth, options.train.epochs};
}

struct PhaseCost {
  double cpu_s = 0.0;
  double peak_bytes = 0.0;
};

// Trains phases of one model, each from the same start.
class PhaseClock {
 public:
  static Expected<PhaseClock> Start(const Model& model,
                                    const std::vector<corpus::Example>& sample,
                                    const ProfileOptions& options) {
    auto adapter = InitialAdapter(model.config(), options.adapter, 1);
    if (!adapter) return tl::unexpected(adapter.error());
    PhaseClock clock(model, sample, options, std::move(*adapter));
    TrainOptions warm_up = options.train;  // First calls load code and grow the heap.
    warm_up.epochs = 1;
    Adapter trained = clock.adapter_;
    if (auto warm = TrainAllLayers(model, sample, warm_up, &trained); !warm) {
      return tl::unexpected(warm.error());
    }
    return clock;
  }

  // The least time of the repeats; nothing for a phase without layers.
  Expected<PhaseCost> Measure(const PhaseShape& phase) const {
    if (phase.last < phase.first) return PhaseCost{};
    ResetPeakMemory();
    PhaseCost cost{.cpu_s = std::numeric_limits<double>::infinity()};
    TrainOptions train = options_.train;
    train.epochs = phase.epochs;
    for (int i = 0; i < options_.repeats; ++i) {
      Adapter trained = adapter_;
      const auto report =
          TrainLayers(model_, sample_, phase.first, phase.last, phase.objective, train, &trained);
      if (!report) return tl::unexpected(report.error());
      if (report->divergence) {
        return Fail(ErrorKind::kNumerical, "profile", report->divergence->reason);
      }
      cost.cpu_s = std::min(cost.cpu_s, report->cpu_s);
    }
    cost.peak_bytes = PeakMemoryBytes();
    return cost;
  }

  const Adapter& adapter() const { return adapter_; }

 private:
  PhaseClock(const Model& model,
             const std::vector<corpus::Example>& sample,
             const ProfileOptions& options,
             Adapter adapter)
      : model_(model), sample_(sample), options_(options), adapter_(std::move(adapter)) {}

  const Model& model_;
  const std::vector<corpus::Example>& sample_;
  const ProfileOptions& options_;
  Adapter adapter_;
};

std::vector<double> LayerBytes(const Adapter& adapter, int layers) {
  std::vector<double> bytes;
  for (int layer = 1; layer <= layers; ++layer) {
    bytes.push_back(static_cast<double>(EncodeLayers(adapter, layer, layer).size()));
  }
  return bytes;
}

// Of both phases for every split of models of so many layers.
double FlopOfSplits(ModelConfig model,
                    const Volume& volume,
                    const ProfileOptions& options,
                    std::initializer_list<int> depths) {
  double flop = 0.0;
  for (const int depth : depths) {
    model.layers = depth;
    for (int k = 0; k <= depth; ++k) {
      for (const PhaseShape& phase :
           {UserShape(depth, k, options), ServerShape(depth, k, options)}) {
        const PhaseFlop one =
            FlopOfLayers(model, options.adapter, volume, phase.first, phase.last, phase.objective);
        flop += one.once + phase.epochs * one.pass;
      }
    }
  }
  return flop;
}

double SecondsOf(double flop, const ProfileOptions& options, double gemm_flop_per_s) {
  return options.repeats * flop / (ShareOfGemm(options.storage) * gemm_flop_per_s);
}

// The sample for models of few layers, and in how many epochs to train on it: all of them if a
// minute allows that, else one and as large a sample as it allows, but a batch.
std::vector<corpus::Example> ExtrapolationSample(const ModelConfig& model,
                                                 const std::vector<corpus::Example>& examples,
                                                 double gemm_flop_per_s,
                                                 ProfileOptions* options) {
  std::vector<corpus::Example> sample = Sample(examples, options->tokens_max);
  const Volume volume = VolumeOf(sample, model.sliding_window);
  const auto share_of_minute = [&] {
    const double flop = FlopOfSplits(model, volume, *options, {kDepths[0], kDepths[1]});
    return kExtrapolationS / SecondsOf(flop, *options, gemm_flop_per_s);
  };
  if (share_of_minute() >= 1.0) return sample;
  options->train.epochs = 1;
  const double share = share_of_minute();
  const auto examples_min = static_cast<double>(options->train.batch_size);
  const double batch = examples_min * volume.tokens / static_cast<double>(sample.size());
  if (share >= 1.0 || batch >= volume.tokens) return sample;
  return Sample(sample, std::max(batch, share * volume.tokens));
}

// Peak memory is affine in the model's layers, whose weights it holds, and in the trained ones,
// whose activations.
class MemoryLaw {
 public:
  void Add(int layers, int k, double peak_bytes) {
    rows_.conservativeResize(rows_.rows() + 1, 3);
    rows_.bottomRows<1>() << 1.0, layers, k;
    peaks_.conservativeResize(rows_.rows());
    peaks_(rows_.rows() - 1) = peak_bytes;
  }
  double PeakBytes(int layers, int k) const {
    const Eigen::Vector3d law = rows_.completeOrthogonalDecomposition().solve(peaks_);
    return Eigen::RowVector3d(1.0, layers, k) * law;
  }

 private:
  Eigen::MatrixXd rows_ = Eigen::MatrixXd(0, 3);
  Eigen::VectorXd peaks_;
};

}  // namespace

double MeasuringS(const ModelConfig& model,
                  const std::vector<corpus::Example>& examples,
                  const ProfileOptions& options) {
  const auto sample = Sample(examples, options.tokens_max);
  const Volume volume = VolumeOf(sample, model.sliding_window);
  return SecondsOf(
      FlopOfSplits(model, volume, options, {model.layers}), options, MeasureGemmFlopPerS());
}

Expected<PhaseCosts> MeasurePhases(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const ProfileOptions& options) {
  const int layers = model.config().layers;
  const std::vector<corpus::Example> sample = Sample(examples, options.tokens_max);
  const auto clock = PhaseClock::Start(model, sample, options);
  if (!clock) return tl::unexpected(clock.error());
  PhaseCosts costs{.tokens = VolumeOf(sample).tokens,
                   .layer_bytes = LayerBytes(clock->adapter(), layers),
                   .gemm_flop_per_s = MeasureGemmFlopPerS()};
  for (int k = 0; k <= layers; ++k) {
    const auto user = clock->Measure(UserShape(layers, k, options));
    if (!user) return tl::unexpected(user.error());
    const auto server = clock->Measure(ServerShape(layers, k, options));
    if (!server) return tl::unexpected(server.error());
    costs.user_s.push_back(user->cpu_s);
    costs.user_memory_bytes.push_back(user->peak_bytes);
    costs.server_s.push_back(server->cpu_s);
    if (options.on_phase) options.on_phase(2 * (k + 1), 2 * (layers + 1));
  }
  return costs;
}

Expected<PhaseCosts> ExtrapolatePhases(const ModelConfig& model,
                                       const std::vector<corpus::Example>& examples,
                                       const ProfileOptions& options) {
  DASHF_CHECK(model.layers >= kExtrapolationLayersMin);
  const auto adapter = InitialAdapter(model, options.adapter, 1);
  if (!adapter) return tl::unexpected(adapter.error());
  PhaseCosts costs{.layer_bytes = LayerBytes(*adapter, model.layers),
                   .gemm_flop_per_s = MeasureGemmFlopPerS()};
  ProfileOptions few = options;
  const auto sample = ExtrapolationSample(model, examples, costs.gemm_flop_per_s, &few);
  costs.tokens = VolumeOf(sample).tokens;
  std::vector<std::pair<PhaseShape, double>> times;
  MemoryLaw memory;
  int done = 0;
  const int total = 2 * (kDepths[0] + kDepths[1] + 1);
  ModelConfig shallow = model;
  const auto measure = [&](const PhaseClock& clock, const PhaseShape& phase) {
    auto cost = clock.Measure(phase);
    if (options.on_phase) options.on_phase(++done, total);
    return cost;
  };
  for (const int depth : kDepths) {
    shallow.layers = depth;
    const Model made = RandomModel(shallow, 1, options.storage);
    const auto clock = PhaseClock::Start(made, sample, few);
    if (!clock) return tl::unexpected(clock.error());
    for (int k = 1; k <= depth; ++k) {
      const PhaseShape user = UserShape(depth, k, few), server = ServerShape(depth, k - 1, few);
      const auto at_user = measure(*clock, user), at_server = measure(*clock, server);
      if (!at_user) return tl::unexpected(at_user.error());
      if (!at_server) return tl::unexpected(at_server.error());
      times.emplace_back(user, at_user->cpu_s);
      times.emplace_back(server, at_server->cpu_s);
      memory.Add(depth, k, at_user->peak_bytes);
    }
  }
  const PhaseLaw law = PhaseLaw::Fit(times);
  for (int k = 0; k <= model.layers; ++k) {
    costs.user_s.push_back(law.Cost(UserShape(model.layers, k, options)));
    costs.server_s.push_back(law.Cost(ServerShape(model.layers, k, options)));
    costs.user_memory_bytes.push_back(k == 0 ? 0.0 : memory.PeakBytes(model.layers, k));
  }
  shallow.layers = kCheckDepth;
  ProfileOptions more = few;
  ++more.train.epochs;  // Unlike what was fitted; later passes use what the first one kept.
  const Model other = RandomModel(shallow, 1, options.storage);
  const auto clock = PhaseClock::Start(other, sample, more);
  if (!clock) return tl::unexpected(clock.error());
  for (const bool user : {true, false}) {
    const PhaseShape phase = user ? UserShape(kCheckDepth, kCheckSplit, more)
                                  : ServerShape(kCheckDepth, kCheckSplit, more);
    const auto measured = measure(*clock, phase);
    if (!measured) return tl::unexpected(measured.error());
    costs.checks.push_back({user, kCheckDepth, kCheckSplit, law.Cost(phase), measured->cpu_s});
  }
  return costs;
}

Expected<std::vector<ForetoldPhase>> CheckPhases(const PhaseCosts& costs,
                                                 const Model& model,
                                                 const std::vector<corpus::Example>& examples,
                                                 const ProfileOptions& options) {
  const int layers = model.config().layers;
  DASHF_CHECK(costs.user_s.size() == static_cast<std::size_t>(layers) + 1);
  const std::vector<corpus::Example> sample = Sample(examples, options.tokens_max);
  const double growth = VolumeOf(sample).tokens / costs.tokens;
  const auto clock = PhaseClock::Start(model, sample, options);
  if (!clock) return tl::unexpected(clock.error());
  std::vector<ForetoldPhase> checks;
  for (int k = 0; k <= layers; ++k) {
    for (const bool user : {true, false}) {
      if (k == (user ? 0 : layers)) continue;
      const auto measured =
          clock->Measure(user ? UserShape(layers, k, options) : ServerShape(layers, k, options));
      if (!measured) return tl::unexpected(measured.error());
      const double foretold_s = (user ? costs.user_s : costs.server_s)[static_cast<std::size_t>(k)];
      checks.push_back({user, layers, k, foretold_s * growth, measured->cpu_s});
    }
    if (options.on_phase) options.on_phase(2 * (k + 1), 2 * (layers + 1));
  }
  return checks;
}

}  // namespace dashf::train
