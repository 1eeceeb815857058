// Is a certificate well-formed for a scenario? Whether it proves its claim is another question.
#pragma once

#include "base/error.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// kBadInput names the member and the rule: every rule of plan/certificate.h, lengths, ranges, boxes
// that cover the quadrant, whole case trees.
Expected<void> CheckForm(const Scenario& scenario, const Certificate& certificate);

}  // namespace dashf::certificate
