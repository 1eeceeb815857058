#include "certificate/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace dashf::certificate {

// Sweeps over the user phase: between two neighbouring ends of boxes the same boxes are there, and
// their server-phase ranges must join from 0 to infinity.
Expected<void> CheckCoverage(const Certificate& certificate) {
  std::vector<double> cuts;
  for (const DeadlineBox& box : certificate.boxes) cuts.push_back(box.user_phase_s_min);
  for (const DeadlineBox& box : certificate.boxes) cuts.push_back(box.user_phase_s_max);
  cuts.push_back(0.0);
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::vector<const DeadlineBox*> by_server_phase;
  for (const DeadlineBox& box : certificate.boxes) by_server_phase.push_back(&box);
  std::sort(by_server_phase.begin(), by_server_phase.end(), [](const auto* a, const auto* b) {
    return a->server_phase_s_min < b->server_phase_s_min;
  });
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto open = [](double user_s, double server_s) {
    return Fail(ErrorKind::kBadInput,
                "bound.certificate.boxes",
                fmt::format("must cover every pair of phases; none holds user_phase_s just above "
                            "{} with server_phase_s just above {}",
                            user_s,
                            server_s));
  };
  for (std::size_t i = 0; i < cuts.size() && cuts[i] < kInfinity; ++i) {
    const double next = i + 1 < cuts.size() ? cuts[i + 1] : kInfinity;
    double reach = 0.0;
    for (const DeadlineBox* box : by_server_phase) {
      const bool spans = box->user_phase_s_min <= cuts[i] && box->user_phase_s_max >= next;
      if (!spans || box->server_phase_s_max <= reach) continue;
      if (box->server_phase_s_min > reach) break;
      reach = box->server_phase_s_max;
    }
    if (reach < kInfinity) return open(cuts[i], reach);
  }
  return {};
}

}  // namespace dashf::certificate
