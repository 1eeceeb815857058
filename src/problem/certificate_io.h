// The `bound` of dashf.plan/1: a certificate as JSON (docs/formats.md).
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf {

inline constexpr std::pair<std::string_view, double ServerPrices::*> kPriceColumns[] = {
    {"bandwidth_per_hz", &ServerPrices::bandwidth_per_hz},
    {"power_per_w", &ServerPrices::power_per_w},
    {"clock_per_hz", &ServerPrices::clock_per_hz},
    {"slot", &ServerPrices::slot}};

// `scr` is the plan's own; the gap stated is (scr_upper - scr) / scr_upper.
nlohmann::ordered_json BoundToJson(const Certificate& certificate, double scr);

// Strict: lengths fit the scenario, prices and weights are finite and >= 0, scr_upper > 0, boxes
// are not empty. Whether they cover every plan and prove the claim is not looked at.
Certificate ParseBound(JsonReader bound, const Scenario& scenario);

}  // namespace dashf
