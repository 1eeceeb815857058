// Metrics in OpenMetrics' text format, version 1.0.0 (github.com/prometheus/OpenMetrics).
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace dashf::live {

// Families of counters, gauges and histograms, named as in Prometheus' format: of a counter with
// _total, of an info ("1, and labels that say something") with _info, in SI units at the end.
std::string OpenMetricsText(const std::vector<prometheus::MetricFamily>& families);

inline constexpr char kOpenMetricsType[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

}  // namespace dashf::live
