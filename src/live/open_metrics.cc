#include "live/open_metrics.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace dashf::live {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array<std::string_view, 4> kUnits = {"seconds", "bytes", "ratio", "nats"};

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string Sample(const std::string& name,
                   const ClientMetric& metric,
                   double value,
                   const std::string& more = "") {
  std::string labels;
  for (const auto& label : metric.label) {
    if (!labels.empty()) labels += ',';
    labels += fmt::format("{}=\"{}\"", label.name, Escaped(label.value));
  }
  if (!labels.empty() && !more.empty()) labels += ',';
  labels += more;
  return labels.empty() ? fmt::format("{} {}\n", name, Number(value))
                        : fmt::format("{}{{{}}} {}\n", name, labels, Number(value));
}

std::string HistogramSamples(const std::string& name, const ClientMetric& metric) {
  std::string text;
  for (const auto& bucket : metric.histogram.bucket) {
    // A bound is a float, "1.0", in its shortest form.
    std::string bound = Number(bucket.upper_bound);
    if (bound.find_first_not_of("0123456789") == std::string::npos) bound += ".0";
    text += Sample(name + "_bucket",
                   metric,
                   static_cast<double>(bucket.cumulative_count),
                   fmt::format("le=\"{}\"", bound));
  }
  text += Sample(name + "_count", metric, static_cast<double>(metric.histogram.sample_count));
  return text + Sample(name + "_sum", metric, metric.histogram.sample_sum);
}

// A family's name is its samples' without what their type adds.
std::string FamilyName(const MetricFamily& family, std::string_view suffix) {
  const bool ends = !suffix.empty() && family.name.ends_with(suffix);
  return family.name.substr(0, family.name.size() - (ends ? suffix.size() : 0));
}

}  // namespace

std::string OpenMetricsText(const std::vector<MetricFamily>& families) {
  std::string text;
  for (const MetricFamily& family : families) {
    const bool info = family.type == MetricType::Gauge && family.name.ends_with("_info");
    const char* type = info                                   ? "info"
                       : family.type == MetricType::Counter   ? "counter"
                       : family.type == MetricType::Histogram ? "histogram"
                                                              : "gauge";
    const std::string name = FamilyName(family,
                                        info                                 ? "_info"
                                        : family.type == MetricType::Counter ? "_total"
                                                                             : "");
    text += fmt::format("# TYPE {} {}\n", name, type);
    for (const std::string_view unit : kUnits) {
      if (!name.ends_with(fmt::format("_{}", unit))) continue;
      text += fmt::format("# UNIT {} {}\n", name, unit);
    }
    text += fmt::format("# HELP {} {}\n", name, Escaped(family.help));
    for (const ClientMetric& metric : family.metric) {
      if (family.type == MetricType::Histogram) {
        text += HistogramSamples(name, metric);
      } else {
        const bool counts = family.type == MetricType::Counter;
        text += Sample(family.name, metric, counts ? metric.counter.value : metric.gauge.value);
      }
    }
  }
  return text + "# EOF\n";
}

}  // namespace dashf::live
