// The coordinator's metrics, in OpenMetrics' or Prometheus' text format (docs/live.md has the
// table). Counters and histograms count from the start of the process, as Prometheus expects;
// gauges are of the fleet as it was shown last. One thread at a time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "live/http_server.h"
#include "runtime/fleet_watch.h"

namespace dashf::live {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // An event of this process, as telemetry has it.
  void Take(const nlohmann::ordered_json& event);
  void Take(const fleet::RoundSummary& ended);

  struct Facts {                                    // As they are when somebody asks.
    const runtime::FleetSnapshot* fleet = nullptr;  // Null: it was not shown yet.
    HttpCounts http;
    double log_bytes = 0.0;
  };
  std::string Text(const Facts& facts, bool open_metrics) const;

  static constexpr char kPrometheusType[] = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Counted;
  std::unique_ptr<Counted> counted_;
};

}  // namespace dashf::live
