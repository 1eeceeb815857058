#include "cli/planner/bench_families.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/journal.h"
#include "base/json.h"
#include "base/termination.h"
#include "cli/command.h"
#include "scenario/families.h"

namespace dashf::cli {
namespace {

using nlohmann::ordered_json;
using Size = FamiliesBench::Size;

constexpr const char* kSchema = "dashf.families_bench/1";

struct Job {
  std::string family, size, delay;
  std::uint64_t seed = 1;

  auto operator<=>(const Job&) const = default;
  std::string Text() const { return fmt::format("{} {} {}, seed {}", family, size, delay, seed); }
};

// What the journal's results depend on.
ordered_json SettingsOf(const FamilyEffort& effort) {
  const double limit_s = effort.options.time_limit_s;
  return {{"gap_target", effort.options.gap_target},
          {"time_limit_s", std::isfinite(limit_s) ? ordered_json(limit_s) : ordered_json()},
          {"baseline_limit_s", effort.baseline_limit_s},
          {"threads", effort.options.threads},
          {"baselines", effort.baselines}};
}

// Middle and worst of the seeds, from what is to be small.
struct Spread {
  double median = 0.0, worst = 0.0;
};
std::optional<Spread> SpreadOf(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  if (!std::isfinite(values.back())) return std::nullopt;
  return Spread{values[values.size() / 2], values.back()};
}

class Bench {
 public:
  explicit Bench(const FamiliesBench& bench) : bench_(bench) {}

  Expected<int> Run();

 private:
  Expected<void> ChooseFamilies();
  Expected<void> OpenJournal();
  Expected<void> Measure(const Job& job, const Size& size);
  ordered_json RowOf(const std::string& family, const Size& size, const std::string& delay) const;
  void Print(const ordered_json& row) const;

  const FamiliesBench& bench_;
  std::vector<std::string> families_;
  std::map<Job, FamilyMeasurement> done_;
  std::optional<Journal> journal_;
  const Stopwatch watch_;
};

Expected<void> Bench::ChooseFamilies() {
  for (const std::string& name : bench_.families) {
    const auto all = Families();
    if (name == "all") {
      for (const Family& family : all) families_.emplace_back(family.name);
    } else if (std::ranges::find(all, name, &Family::name) != all.end()) {
      families_.push_back(name);
    } else {
      return Fail(ErrorKind::kUsage, "--families", fmt::format("there is no family \"{}\"", name));
    }
  }
  return {};
}

Expected<void> Bench::OpenJournal() {
  if (bench_.journal.empty()) return {};
  const auto take = [this](const std::string& place, std::string_view line) -> Expected<void> {
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    Job job;
    try {
      job = {parsed.at("family"), parsed.at("size"), parsed.at("delay"), parsed.at("seed")};
    } catch (const nlohmann::json::exception& failed) {
      return Fail(ErrorKind::kBadInput, place, failed.what());
    }
    auto measured = FamilyMeasurement::Parse(place, parsed);
    if (!measured) return tl::unexpected(measured.error());
    done_[job] = std::move(*measured);
    return {};
  };
  auto opened = Journal::Open(bench_.journal, kSchema, SettingsOf(bench_.effort), take);
  if (!opened) return tl::unexpected(opened.error());
  journal_ = std::move(*opened);
  return {};
}

Expected<void> Bench::Measure(const Job& job, const Size& size) {
  if (done_.contains(job)) return {};
  const auto scenario = bench_.scenario(job.family, size, job.delay, job.seed);
  if (!scenario) return tl::unexpected(scenario.error());
  FamilyMeasurement measured = MeasureFamily(*scenario, bench_.effort);
  fmt::print(stderr, "[{:7.1f} s] {}: scr {:.6g}\n", watch_.ElapsedS(), job.Text(), measured.scr);
  for (const std::string& rule : measured.Broken(bench_.effort.options.gap_target)) {
    fmt::print(stderr, "  BROKEN: {}\n", rule);
  }
  if (journal_) {
    ordered_json line = {
        {"family", job.family}, {"size", job.size}, {"delay", job.delay}, {"seed", job.seed}};
    line.update(measured.Json());
    if (auto kept = journal_->Append({line.dump()}); !kept) return kept;
  }
  done_[job] = std::move(measured);
  return {};
}

ordered_json Bench::RowOf(const std::string& family,
                          const Size& size,
                          const std::string& delay) const {
  std::vector<double> lost, dashf_lost, best_baseline_lost, numerical, proven, solve_s, prove_s,
      peak;
  std::vector<std::string> broken;
  std::map<std::string, std::vector<double>> share_of_best;
  for (int seed = 1; seed <= bench_.seeds; ++seed) {
    const Job job{family, size.name, delay, static_cast<std::uint64_t>(seed)};
    const FamilyMeasurement& one = done_.at(job);
    const double best = one.BestScr();
    const auto loss = [best](double scr) { return best > 0.0 ? 1.0 - scr / best : 0.0; };
    const auto gap = [&one](double bound) {
      return bound > 0.0 ? 1.0 - one.scr / bound : std::numeric_limits<double>::infinity();
    };
    lost.push_back(loss(one.scr));
    double baseline_best = 0.0;
    for (const auto& baseline : one.baselines) {
      if (baseline.method == "dashf") dashf_lost.push_back(loss(baseline.scr));
      if (baseline.method != "exhaustive") baseline_best = std::max(baseline_best, baseline.scr);
      share_of_best[baseline.method].push_back(loss(baseline.scr));
    }
    best_baseline_lost.push_back(loss(baseline_best));
    numerical.push_back(gap(one.numerical_bound));
    proven.push_back(gap(one.proven_bound));
    solve_s.push_back(one.solve_s);
    prove_s.push_back(one.prove_s);
    peak.push_back(one.peak_mib);
    for (const std::string& rule : one.Broken(bench_.effort.options.gap_target)) {
      broken.push_back(fmt::format("seed {}: {}", seed, rule));
    }
  }
  ordered_json row = {{"family", family}, {"size", size.name}, {"delay", delay}};
  const auto add = [&row](const std::string& name, const std::vector<double>& values) {
    const auto spread = SpreadOf(values);
    row[name] = spread ? ordered_json(spread->median) : ordered_json();
    row[name + "_worst"] = spread ? ordered_json(spread->worst) : ordered_json();
  };
  add("lost", lost);
  add("best_baseline_lost", best_baseline_lost);
  add("dashf_lost", dashf_lost);
  add("numerical_gap", numerical);
  add("proven_gap", proven);
  add("solve_s", solve_s);
  add("prove_s", prove_s);
  add("peak_mib", peak);
  ordered_json baselines = ordered_json::object();
  for (auto& [method, losses] : share_of_best) {
    baselines[method] = {{"lost", SpreadOf(losses)->median},
                         {"lost_worst", SpreadOf(losses)->worst}};
  }
  row["baselines"] = std::move(baselines);
  row["broken"] = broken;
  return row;
}

struct Column {
  const char *title, *key;
  double factor;
  int digits;
};
constexpr Column kColumns[] = {{"lost %", "lost", 100.0, 4},
                               {"baseline %", "best_baseline_lost", 100.0, 2},
                               {"dashf %", "dashf_lost", 100.0, 2},
                               {"bound %", "numerical_gap", 100.0, 4},
                               {"proven %", "proven_gap", 100.0, 4},
                               {"solve s", "solve_s", 1.0, 2},
                               {"prove s", "prove_s", 1.0, 2},
                               {"MiB", "peak_mib", 1.0, 0}};

std::string Cell(const ordered_json& row, const Column& column, int digits) {
  const ordered_json &median = row[column.key], &worst = row[std::string(column.key) + "_worst"];
  if (median.is_null()) return "-";
  return fmt::format("{:.{}f} {:.{}f}",
                     column.factor * median.get<double>(),
                     digits,
                     column.factor * worst.get<double>(),
                     digits);
}

void PrintHeader(FamiliesBench::Output output) {
  if (output == FamiliesBench::Output::kTable) {
    fmt::print("median and worst of the seeds\n{:<15} {:>9} {:>8}", "family", "size", "delay");
    for (const Column& column : kColumns) fmt::print(" {:>15}", column.title);
    fmt::print("\n");
  } else if (output == FamiliesBench::Output::kCsv) {
    fmt::print("family,size,delay");
    for (const Column& column : kColumns) fmt::print(",{0},{0}_worst", column.key);
    fmt::print(",broken\n");
  }
}

void Bench::Print(const ordered_json& row) const {
  const std::size_t broken = row["broken"].size();
  if (bench_.output == FamiliesBench::Output::kTable) {
    fmt::print("{:<15} {:>9} {:>8}",
               row["family"].get<std::string>(),
               row["size"].get<std::string>(),
               row["delay"].get<std::string>());
    for (const Column& column : kColumns) {
      fmt::print(" {:>15}", Cell(row, column, column.digits));
    }
    fmt::print("{}\n", broken > 0 ? "  BROKEN" : "");
    for (const ordered_json& rule : row["broken"]) fmt::print("  {}\n", rule.get<std::string>());
  } else if (bench_.output == FamiliesBench::Output::kCsv) {
    fmt::print("{},{},{}",
               row["family"].get<std::string>(),
               row["size"].get<std::string>(),
               row["delay"].get<std::string>());
    for (const Column& column : kColumns) {
      for (const std::string& key : {std::string(column.key), std::string(column.key) + "_worst"}) {
        fmt::print(",{}", row[key].is_null() ? "" : fmt::format("{:.6g}", row[key].get<double>()));
      }
    }
    fmt::print(",{}\n", broken);
  }
  std::fflush(stdout);
}

Expected<int> Bench::Run() {
  if (auto chosen = ChooseFamilies(); !chosen) return tl::unexpected(chosen.error());
  if (auto opened = OpenJournal(); !opened) return tl::unexpected(opened.error());
  PrintHeader(bench_.output);
  ordered_json rows = ordered_json::array();
  bool broken = false;
  for (const Size& size : bench_.sizes) {
    for (const std::string& delay : bench_.delays) {
      for (const std::string& family : families_) {
        for (int seed = 1; seed <= bench_.seeds; ++seed) {
          const Job job{family, size.name, delay, static_cast<std::uint64_t>(seed)};
          if (auto measured = Measure(job, size); !measured) {
            return tl::unexpected(measured.error());
          }
        }
        rows.push_back(RowOf(family, size, delay));
        broken |= !rows.back()["broken"].empty();
        Print(rows.back());
      }
    }
  }
  if (bench_.output == FamiliesBench::Output::kJson) {
    ordered_json document = SettingsOf(bench_.effort);
    document["seeds"] = bench_.seeds;
    document["rows"] = std::move(rows);
    fmt::print("{}", DumpRows(document));
  }
  return broken ? kExitJobsFailed : kExitOk;
}

}  // namespace

Expected<int> RunFamilies(const FamiliesBench& bench) {
  return Bench(bench).Run();
}

}  // namespace dashf::cli
