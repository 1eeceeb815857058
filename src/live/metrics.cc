#include "live/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "live/http_server.h"
#include "live/open_metrics.h"

namespace dashf::live {
namespace {

using Json = nlohmann::ordered_json;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::map<std::string, std::string>;

const prometheus::Histogram::BucketBoundaries kPhaseBuckets = {
    0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10'000};
const prometheus::Histogram::BucketBoundaries kPlanningBuckets = {
    0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};
constexpr const char* kPhases[] = {"local", "upload", "server", "download", "verify"};
constexpr const char* kNodeStates[] = {
    "here", "away", "gone", "never seen", "drained", "excluded", "turned away"};

// A gauge's values, by labels.
class Gauge {
 public:
  Gauge(std::vector<MetricFamily>* all,
        const std::string& name,
        const std::string& help,
        MetricType type = MetricType::Gauge) {
    family_ = &all->emplace_back(MetricFamily{name, help, type, {}});
  }
  Gauge& Add(double value, const Labels& labels = {}) {
    ClientMetric& metric = family_->metric.emplace_back();
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    if (family_->type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    return *this;
  }

 private:
  MetricFamily* family_;
};

double NumberAt(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
}

std::string TextAt(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

// Of states as labels: "never seen" is never_seen.
std::string Label(std::string text) {
  for (char& c : text) c = c == ' ' ? '_' : c;
  return text;
}

void AddFleet(const runtime::FleetSnapshot& fleet, std::vector<MetricFamily>* all) {
  const Json& status = fleet.status;
  Gauge nodes(all, "dashf_nodes", "Nodes of the fleet, by role and state.");
  for (const char* role : {"server", "user"}) {
    const Json& counts = status.at(std::string(role) + "s");
    for (const char* state : kNodeStates) {
      nodes.Add(NumberAt(counts, state), {{"role", role}, {"state", Label(state)}});
    }
  }
  Gauge(all, "dashf_nodes_connected", "Nodes whose session stands.")
      .Add(static_cast<double>(fleet.sessions));
  Gauge(all, "dashf_round_number", "The round that was begun last.")
      .Add(NumberAt(status, "rounds_begun"));
  Gauge stage(all, "dashf_fleet_stage", "1 for what the fleet does, 0 for the others.");
  for (const char* name : {"idle", "gathering", "planning", "running", "over"}) {
    stage.Add(TextAt(status, "phase") == name ? 1 : 0, {{"stage", name}});
  }
  const Json none = Json::object();
  const Json& parts = status.at("parts").is_object() ? status.at("parts") : none;
  Gauge running(all, "dashf_phases_running", "Users of the round that are in this phase.");
  for (const char* phase : kPhases) running.Add(NumberAt(parts, phase), {{"phase", phase}});
  Gauge(all, "dashf_transfers_running", "Transfers that go on, by direction.")
      .Add(NumberAt(parts, "upload"), {{"direction", "upload"}})
      .Add(NumberAt(parts, "download"), {{"direction", "download"}});
  Gauge ended(all, "dashf_parts_ended", "Users' parts of the round that runs that have ended.");
  for (const char* result : {"done", "failed", "left_out"}) {
    ended.Add(NumberAt(parts, result), {{"result", result}});
  }
  Gauge(all, "dashf_queue_length", "What waits: users for a plan or a server, jobs for the thread.")
      .Add(NumberAt(parts, "waiting for a plan"), {{"queue", "plan"}})
      .Add(NumberAt(parts, "waiting for a server"), {{"queue", "server"}})
      .Add(static_cast<double>(fleet.jobs_waiting), {{"queue", "coordinator"}});
  double before = 0.0, after = 0.0;
  int users = 0;
  for (const runtime::WatchedNode& node : fleet.nodes) {
    if (!node.part || !node.part->record.before.loss || !node.part->record.after.loss) continue;
    before += *node.part->record.before.loss;
    after += *node.part->record.after.loss;
    ++users;
  }
  Gauge loss(all,
             "dashf_held_out_loss_nats",
             "Mean loss on held-out data, in nats per answer token, of the users that have "
             "finished the latest round.");
  if (users > 0) loss.Add(before / users, {{"adapter", "none"}});
  if (users > 0) loss.Add(after / users, {{"adapter", "own"}});
}

void AddProcess(std::vector<MetricFamily>* all) {
  static const double kBegan = static_cast<double>(std::time(nullptr));
  Gauge(all, "process_start_time_seconds", "When the process began, in seconds since 1970.")
      .Add(kBegan);
  Gauge(all,
        "process_cpu_seconds_total",
        "Processor time that the process has used.",
        MetricType::Counter)
      .Add(static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  std::ifstream statm("/proc/self/statm");
  double virtual_pages = 0.0, resident_pages = 0.0;
  if (statm >> virtual_pages >> resident_pages) {
    Gauge(all, "process_resident_memory_bytes", "Memory that the process has.")
        .Add(resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  std::error_code failed;
  const std::filesystem::directory_iterator open("/proc/self/fd", failed);
  if (!failed) {
    Gauge(all, "process_open_fds", "File descriptors that are open.")
        .Add(static_cast<double>(std::distance(begin(open), end(open))));
  }
}

}  // namespace

struct Metrics::Counted {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Histogram>& phases =
      prometheus::BuildHistogram()
          .Name("dashf_phase_duration_seconds")
          .Help("What a user's phases took, by the clock of who did them.")
          .Register(registry);
  prometheus::Histogram& planning = prometheus::BuildHistogram()
                                        .Name("dashf_planning_duration_seconds")
                                        .Help("What making a plan took.")
                                        .Register(registry)
                                        .Add({}, kPlanningBuckets);
  prometheus::Family<prometheus::Counter>& phase_failures =
      prometheus::BuildCounter()
          .Name("dashf_phase_failures_total")
          .Help("Phases that failed; their users are planned anew or out of the round.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& bytes =
      prometheus::BuildCounter()
          .Name("dashf_transferred_bytes_total")
          .Help("Bytes of transfers that have finished.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& parts =
      prometheus::BuildCounter()
          .Name("dashf_user_parts_total")
          .Help("Users' parts of rounds that have ended, by result.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& rounds = prometheus::BuildCounter()
                                                        .Name("dashf_rounds_total")
                                                        .Help("Rounds that have ended, by result.")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& nodes =
      prometheus::BuildCounter()
          .Name("dashf_node_events_total")
          .Help("Nodes that have joined, were lost, or were turned away for a new reason.")
          .Register(registry);
  std::optional<double> scr, scr_upper;  // Of the plan made last.
};

Metrics::Metrics() : counted_(std::make_unique<Counted>()) {
  for (const char* phase : kPhases) {
    counted_->phases.Add({{"phase", phase}}, kPhaseBuckets);
    counted_->phase_failures.Add({{"phase", phase}});
  }
  for (const char* direction : {"upload", "download"}) {
    counted_->bytes.Add({{"direction", direction}});
  }
  for (const char* result : {"done", "failed"}) {
    counted_->parts.Add({{"result", result}});
    counted_->rounds.Add({{"result", result}});
  }
  counted_->parts.Add({{"result", "left_out"}});
  for (const char* event : {"joined", "lost", "turned_away"}) {
    counted_->nodes.Add({{"event", event}});
  }
}

Metrics::~Metrics() = default;

void Metrics::Take(const Json& event) {
  const std::string kind = TextAt(event, "event");
  if (kind == "phase_finished") {
    const std::string phase = TextAt(event, "phase");
    if (!TextAt(event, "failure").empty()) {
      counted_->phase_failures.Add({{"phase", phase}}).Increment();
      return;
    }
    counted_->phases.Add({{"phase", phase}}, kPhaseBuckets).Observe(NumberAt(event, "elapsed_s"));
    if (phase == "upload" || phase == "download") {
      counted_->bytes.Add({{"direction", phase}}).Increment(NumberAt(event, "bytes"));
    }
  } else if (kind == "planned") {
    counted_->planning.Observe(NumberAt(event, "elapsed_s"));
    counted_->scr = NumberAt(event, "scr");
    counted_->scr_upper.reset();
    if (NumberAt(event, "scr_upper") > 0.0) counted_->scr_upper = NumberAt(event, "scr_upper");
  } else if (kind == "joined") {
    counted_->nodes.Add({{"event", "joined"}}).Increment();
  } else if (kind == "node_lost") {
    counted_->nodes.Add({{"event", "lost"}}).Increment();
  } else if (kind == "turned_away") {
    counted_->nodes.Add({{"event", "turned_away"}}).Increment();
  }
}

void Metrics::Take(const fleet::RoundSummary& ended) {
  const bool failed = ended.failed > 0 || ended.done == 0;  // As `dashf ctl rounds` says it.
  counted_->rounds.Add({{"result", failed ? "failed" : "done"}}).Increment();
  counted_->parts.Add({{"result", "done"}}).Increment(ended.done);
  counted_->parts.Add({{"result", "failed"}}).Increment(ended.failed);
  counted_->parts.Add({{"result", "left_out"}}).Increment(ended.absent);
}

std::string Metrics::Text(const Facts& facts, bool open_metrics) const {
  std::vector<MetricFamily> all;
  Gauge(&all, "dashf_build_info", "1, with the program's version.")
      .Add(1, {{"version", DASHF_VERSION}});
  if (facts.fleet != nullptr) AddFleet(*facts.fleet, &all);
  Gauge scr(&all, "dashf_plan_scr", "Service-cost ratio of the plan made last.");
  if (counted_->scr) scr.Add(*counted_->scr);
  Gauge gap(&all,
            "dashf_plan_gap_ratio",
            "How far the plan's ratio may lie below the best one, as a share of the bound on it.");
  if (counted_->scr && counted_->scr_upper) {
    gap.Add((*counted_->scr_upper - *counted_->scr) / *counted_->scr_upper);
  }
  Gauge(&all, "dashf_log_size_bytes", "The coordinator's log with what was not merged into it yet.")
      .Add(facts.log_bytes);
  Gauge(&all, "dashf_live_connections", "Connections to the live page.")
      .Add(static_cast<double>(facts.http.connections));
  Gauge(&all, "dashf_live_streams", "Of these, streams of events.")
      .Add(static_cast<double>(facts.http.streams));
  Gauge answers(&all, "dashf_live_answers_total", "Answers of the live page.", MetricType::Counter);
  for (const auto& [status, count] : facts.http.answers) {
    answers.Add(static_cast<double>(count), {{"code", std::to_string(status)}});
  }
  AddProcess(&all);
  std::vector<MetricFamily> counted = counted_->registry.Collect();
  all.insert(all.end(), counted.begin(), counted.end());
  return open_metrics ? OpenMetricsText(all) : prometheus::TextSerializer().Serialize(all);
}

}  // namespace dashf::live
