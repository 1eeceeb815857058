#include "cli/train/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/median.h"
#include "cli/train/data_options.h"
#include "train/flop.h"

namespace dashf::cli {
namespace {

using Json = nlohmann::ordered_json;

double MedianOf(const BenchCell& cell, double BenchOutcome::*member) {
  std::vector<double> values;
  for (const BenchOutcome& outcome : cell.outcomes) values.push_back(outcome.*member);
  return Median(values);
}

// A step of the phase once it is warm: without the first.
double StepS(const BenchCell& cell, std::size_t phase) {
  std::vector<double> steps;
  for (const BenchOutcome& outcome : cell.outcomes) {
    const std::vector<BenchStep>& all = outcome.phases[phase];
    for (std::size_t i = 1; i < all.size(); ++i) {
      steps.push_back(all[i].elapsed_s - all[i - 1].elapsed_s);
    }
  }
  return Median(steps);
}

// One step on each batch.
double SweepS(const BenchCell& cell) {
  double sum_s = 0.0;
  for (std::size_t phase = 0; phase < cell.job.phases.size(); ++phase) sum_s += StepS(cell, phase);
  return sum_s;
}

// All phases after the first, which is there to warm up, from their beginnings.
double PhasesS(const BenchCell& cell) {
  std::vector<double> sums;
  for (const BenchOutcome& outcome : cell.outcomes) {
    double sum_s = 0.0;
    for (std::size_t phase = 1; phase < outcome.phases.size(); ++phase) {
      sum_s += outcome.phases[phase].back().elapsed_s;
    }
    sums.push_back(sum_s);
  }
  return Median(sums);
}

double LargestDifference(const BenchCell& cell, const BenchOutcome& reference) {
  double largest = 0.0;
  for (const BenchOutcome& outcome : cell.outcomes) {
    largest = std::max(largest, LossDifference(outcome, reference, 0));
  }
  return largest;
}

Json StepRow(const BenchSubject& subject, const BenchCell& cell, const BenchCell& engine) {
  double tokens = 0.0, flop = 0.0;
  for (const BenchBatch& batch : subject.batches) {
    const train::Volume volume = train::VolumeOf(batch, subject.config.sliding_window);
    tokens += volume.tokens;
    flop += train::FlopOfLayers(subject.config,
                                subject.adapter,
                                volume,
                                1,
                                subject.config.layers,
                                train::UserObjective::kFullDepth)
                .pass;
  }
  const double sweep_s = SweepS(cell);
  Json step_s = Json::array();
  for (std::size_t phase = 0; phase < cell.job.phases.size(); ++phase) {
    step_s.push_back(StepS(cell, phase));
  }
  const bool ours = &cell == &engine;
  const double foretold_bytes = MedianOf(cell, &BenchOutcome::foretold_bytes);
  return {
      {"program", cell.outcomes.front().program},
      {"settings", cell.outcomes.front().settings},
      {"threads", cell.job.threads},
      {"tokens_per_s", tokens / sweep_s},
      {"step_s", step_s},
      {"engine_times_faster", ours ? Json() : Json(sweep_s / SweepS(engine))},
      {"gemm_share", flop / sweep_s / MedianOf(engine, &BenchOutcome::gemm_flop_per_s)},
      {"start_s", MedianOf(cell, &BenchOutcome::first_step_s) - StepS(cell, 0)},
      {"peak_bytes", MedianOf(cell, &BenchOutcome::peak_bytes)},
      {"loaded_bytes", MedianOf(cell, &BenchOutcome::loaded_bytes)},
      {"foretold_bytes", foretold_bytes > 0.0 ? Json(foretold_bytes) : Json()},
      {"loss_difference", ours ? Json() : Json(LargestDifference(cell, engine.outcomes.front()))}};
}

double WorkingBytes(const BenchCell& cell) {
  return MedianOf(cell, &BenchOutcome::peak_bytes) - MedianOf(cell, &BenchOutcome::loaded_bytes);
}

Json UserRow(const BenchCell& cell, const BenchCell& full) {
  const double sweep_s = SweepS(cell), peak_bytes = MedianOf(cell, &BenchOutcome::peak_bytes);
  return {{"objective", cell.job.trains == Trains::kUserEarlyExit ? "early_exit" : "full_depth"},
          {"split", cell.job.split},
          {"threads", cell.job.threads},
          {"sweep_s", sweep_s},
          {"time_share", sweep_s / SweepS(full)},
          {"peak_bytes", peak_bytes},
          {"peak_share", peak_bytes / MedianOf(full, &BenchOutcome::peak_bytes)},
          {"working_memory_share", WorkingBytes(cell) / WorkingBytes(full)}};
}

Json ServerRow(const std::vector<BenchCell>& cells, const BenchCell& full) {
  const double cached_s = PhasesS(cells[0]), recomputed_s = PhasesS(cells[1]);
  const int epochs = cells[0].job.phases.back().epochs;
  return {{"split", cells[0].job.split},
          {"threads", cells[0].job.threads},
          {"epochs", epochs},
          {"cached_s", cached_s},
          {"recomputed_s", recomputed_s},
          {"recomputed_times_longer", recomputed_s / cached_s},
          {"all_layers_times_longer", epochs * SweepS(full) / cached_s}};
}

void PrintHeading(const Json& model) {
  fmt::print(stderr,
             "\n{}: {:.1f}M parameters, {} layers; batches of",
             model["model"].get<std::string>(),
             1e-6 * model["parameters"].get<double>(),
             model["layers"].get<int>());
  for (const Json& batch : model["batches"]) {
    fmt::print(stderr,
               " {} ({} of answers)",
               batch["tokens"].get<int>(),
               batch["answer_tokens"].get<int>());
  }
  fmt::print(stderr, " tokens\n");
  for (const Json& gemm : model["gemm"]) {
    fmt::print(stderr,
               "matrix products with {} thread(s): {:.0f} GFLOP/s\n",
               gemm["threads"].get<int>(),
               1e-9 * gemm["gemm_flop_per_s"].get<double>());
  }
}

void PrintSteps(const Json& rows) {
  std::set<std::string> told;
  for (const Json& row : rows) {
    const std::string program = row["program"].get<std::string>();
    if (told.insert(program).second) {
      fmt::print(stderr, "{}: {}\n", program, row["settings"].get<std::string>());
    }
  }
  fmt::print(stderr,
             "{:<28}{:>8}{:>10}{:>10}{:>9}{:>9}{:>9}{:>10}{:>11}{:>8}\n",
             "LoRA step, all layers",
             "threads",
             "tokens/s",
             "engine x",
             "of GEMM",
             "start s",
             "peak MB",
             "foretold",
             "loaded MB",
             "losses");
  for (const Json& row : rows) {
    const auto if_known = [&row](const char* key, const char* format, double unit) {
      return row[key].is_null() ? "-"
                                : fmt::format(fmt::runtime(format), unit * row[key].get<double>());
    };
    fmt::print(stderr,
               "{:<28}{:>8}{:>10.0f}{:>10}{:>7.0f} %{:>9.2f}{:>9.0f}{:>10}{:>11.0f}{:>8}\n",
               row["program"].get<std::string>(),
               row["threads"].get<int>(),
               row["tokens_per_s"].get<double>(),
               if_known("engine_times_faster", "{:.2f}", 1.0),
               100.0 * row["gemm_share"].get<double>(),
               row["start_s"].get<double>(),
               1e-6 * row["peak_bytes"].get<double>(),
               if_known("foretold_bytes", "{:.0f}", 1e-6),
               1e-6 * row["loaded_bytes"].get<double>(),
               if_known("loss_difference", "{:.0e}", 1.0));
  }
}

}  // namespace

double LossDifference(const BenchOutcome& a, const BenchOutcome& b, int steps) {
  double largest = 0.0;
  int compared = 0;
  for (std::size_t phase = 0; phase < std::min(a.phases.size(), b.phases.size()); ++phase) {
    const std::size_t count = std::min(a.phases[phase].size(), b.phases[phase].size());
    for (std::size_t i = 0; i < count; ++i) {
      if (steps > 0 && compared++ == steps) return largest;
      const double x = a.phases[phase][i].loss, y = b.phases[phase][i].loss;
      largest = std::max(largest, std::abs(x - y) / std::max({1.0, std::abs(x), std::abs(y)}));
    }
  }
  return largest;
}

Json RowsOf(const BenchSubject& subject, const BenchMeasurement& measurement) {
  Json batches = Json::array(), steps = Json::array(), user = Json::array();
  for (const BenchBatch& batch : subject.batches) {
    const train::Volume volume = train::VolumeOf(batch);
    batches.push_back(
        {{"examples", batch.size()}, {"tokens", volume.tokens}, {"answer_tokens", volume.answers}});
  }
  const BenchCell* engine = nullptr;
  Json gemm = Json::array();
  for (const BenchCell& cell : measurement.steps) {
    if (engine == nullptr || engine->job.threads != cell.job.threads) {
      engine = &cell;
      gemm.push_back({{"threads", cell.job.threads},
                      {"gemm_flop_per_s", MedianOf(cell, &BenchOutcome::gemm_flop_per_s)}});
    }
    steps.push_back(StepRow(subject, cell, *engine));
  }
  for (const BenchCell& cell : measurement.user) user.push_back(UserRow(cell, *engine));
  const bool phases = !measurement.server.empty();
  return {{"model", subject.name},
          {"parameters", subject.parameters},
          {"layers", subject.config.layers},
          {"data", subject.data ? ToJson(*subject.data) : Json()},
          {"batches", batches},
          {"gemm", gemm},
          {"steps", steps},
          {"user", user},
          {"server", phases ? ServerRow(measurement.server, *engine) : Json()}};
}

void PrintTable(const Json& model) {
  PrintHeading(model);
  PrintSteps(model["steps"]);
  for (const Json& row : model["user"]) {
    fmt::print(
        stderr,
        "{:<28}{:>8}  k = {}: {:.0f} % of the full step's time, {:.0f} % of its peak memory, "
        "{:.0f} % of that beyond the loaded\n",
        "user, " + row["objective"].get<std::string>(),
        row["threads"].get<int>(),
        row["split"].get<int>(),
        100.0 * row["time_share"].get<double>(),
        100.0 * row["peak_share"].get<double>(),
        100.0 * row["working_memory_share"].get<double>());
  }
  if (model["server"].is_null()) return;
  const Json& server = model["server"];
  fmt::print(stderr,
             "{:<28}{:>8}  k = {}: {:.2f} s for {} epochs; {:.2f} times as long with hidden states "
             "of each epoch's own, {:.2f} with all layers trained\n",
             "server",
             server["threads"].get<int>(),
             server["split"].get<int>(),
             server["cached_s"].get<double>(),
             server["epochs"].get<int>(),
             server["recomputed_times_longer"].get<double>(),
             server["all_layers_times_longer"].get<double>());
}

}  // namespace dashf::cli
