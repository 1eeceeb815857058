#include "certificate/form.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "certificate/branches.h"
#include "certificate/cases.h"
#include "certificate/coverage.h"

namespace dashf::certificate {
namespace {

Expected<void> CheckNumbers(const std::vector<double>& numbers,
                            std::size_t length,
                            const std::string& where) {
  if (numbers.size() != length) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must have {} entries, not {}", length, numbers.size()));
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!(numbers[i] >= 0.0 && std::isfinite(numbers[i]))) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}[{}]", where, i),
                  fmt::format("must be a number >= 0, got {}", numbers[i]));
    }
  }
  return {};
}

Expected<void> CheckRange(double min, double max, const std::string& where) {
  if (min >= 0.0 && min < max && std::isfinite(min)) return {};
  return Fail(
      ErrorKind::kBadInput, where, fmt::format("must be 0 <= min < max, got {}, {}", min, max));
}

Expected<void> CheckWorth(const Scenario& scenario,
                          const DeadlineBox& box,
                          const std::string& where) {
  if (box.user_worth.empty()) return {};
  std::vector<double> size;
  for (const double worth : box.user_worth) size.push_back(std::abs(worth));
  return CheckNumbers(size, scenario.users.size(), where);
}

Expected<void> CheckBox(const Scenario& scenario,
                        const DeadlineBox& box,
                        const std::string& where) {
  const bool sum = scenario.objective.delay == DelayMode::kSum;
  const std::size_t weights = sum ? 0 : scenario.users.size();
  if (box.servers.size() != scenario.servers.size()) {
    return Fail(
        ErrorKind::kBadInput,
        where + ".prices",
        fmt::format("must have {} entries, not {}", scenario.servers.size(), box.servers.size()));
  }
  std::vector<double> prices;
  for (std::size_t m = 0; m < box.servers.size(); ++m) {
    const ServerPrices& server = box.servers[m];
    prices.insert(prices.end(),
                  {server.bandwidth_per_hz, server.power_per_w, server.clock_per_hz, server.slot});
    if (server.slot != 0.0 && !scenario.servers[m].slots) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}.prices.slot[{}]", where, m),
                  fmt::format("must be 0: server {} has no slot limit, got {}",
                              scenario.servers[m].id,
                              server.slot));
    }
  }
  return CheckNumbers(prices, prices.size(), where + ".prices")
      .and_then([&] {
        return CheckNumbers(
            box.user_phase_weight_per_s, weights, where + ".user_phase_weight_per_s");
      })
      .and_then([&] {
        return CheckNumbers(
            box.server_phase_weight_per_s, weights, where + ".server_phase_weight_per_s");
      })
      .and_then([&] {
        return CheckRange(box.user_phase_s_min, box.user_phase_s_max, where + ".user_phase_s");
      })
      .and_then([&] {
        return CheckRange(
            box.server_phase_s_min, box.server_phase_s_max, where + ".server_phase_s");
      })
      .and_then([&] { return CheckWorth(scenario, box, where + ".user_worth"); })
      .and_then([&] { return CheckCases(scenario, box, where + ".cases"); })
      .and_then([&] { return CheckBranches(scenario, box, where + ".branches"); });
}

}  // namespace

Expected<void> CheckForm(const Scenario& scenario, const Certificate& certificate) {
  // Beyond, what a plan costs times scr_upper may overflow.
  constexpr double kLargest = 1e150;
  if (!(certificate.scr_upper > 0.0 && certificate.scr_upper <= kLargest)) {
    return Fail(
        ErrorKind::kBadInput,
        "bound.scr_upper",
        fmt::format("must be a number > 0, at most {}, got {}", kLargest, certificate.scr_upper));
  }
  if (scenario.objective.delay == DelayMode::kSum && certificate.boxes.size() != 1) {
    return Fail(
        ErrorKind::kBadInput,
        "bound.certificate.boxes",
        fmt::format("must be one with the sum of delays, got {}", certificate.boxes.size()));
  }
  for (std::size_t i = 0; i < certificate.boxes.size(); ++i) {
    const auto checked =
        CheckBox(scenario, certificate.boxes[i], fmt::format("bound.certificate.boxes[{}]", i));
    if (!checked) return checked;
  }
  return CheckCoverage(certificate);
}

}  // namespace dashf::certificate
