#include "certificate/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "certificate/box_bound.h"
#include "certificate/branches.h"
#include "certificate/form.h"
#include "certificate/rounding.h"

namespace dashf::certificate {
namespace {

constexpr int kRaisesMax = 40;
// Of a tree of branches: its leaves were closed at the y that is sought first, or are far off.
constexpr int kRaisesOfBranchesMax = 6;
constexpr double kFarOff = 1e-4;  // Relative, of an estimate.

// How tight a proof is to be: every user's bound to `tolerance` (kTolerance or kRough), and y
// within about `overshoot` of the least that is proven so, both relative.
struct Care {
  double tolerance, overshoot;
  bool IsRough() const { return tolerance == kRough; }
};
constexpr Care kFinely{kTolerance, 3e-6}, kRoughly{kRough, 3e-3};

// As the certificate states it: by its branches where it has some.
BoxBound Prove(const Scenario& scenario,
               const DeadlineBox& box,
               double scr_upper,
               const Effort& effort,
               const Care& care = kFinely) {
  if (!box.branches.empty()) return BoundBranches(scenario, box, scr_upper, effort);
  return care.IsRough() ? BoundBox(scenario, box, scr_upper, effort, kRough)
                        : ProveBox(scenario, box, scr_upper, effort);
}

// The least y, nearly, at which one box is proven. Newton's method on a convex function, D(y): from
// either side it lands left of the root and then climbs to it; a little is added each time so that
// it steps over. Someone else's estimate that is as good as that is thus proven at the first look.
Expected<double> LeastProven(const Scenario& scenario,
                             const DeadlineBox& box,
                             double start,
                             const Effort& effort,
                             const Care& care) {
  double y = start * (1.0 + care.overshoot);
  double proven = kInfinity;
  const int raises = box.branches.empty() ? kRaisesMax : kRaisesOfBranchesMax;
  for (int i = 0; i < raises && std::isfinite(y) && !effort.TimeIsUp(); ++i) {
    const BoxBound bound = box.branches.empty() ? BoundBox(scenario, box, y, effort, care.tolerance)
                                                : BoundBranches(scenario, box, y, effort);
    if (bound.excess == -kInfinity) return 0.0;
    const bool holds = bound.excess <= 0.0;
    if (holds) proven = std::min(proven, y);
    if (holds && !box.branches.empty()) return proven;  // Each was closed at the y that was sought.
    double next = 2.0 * y;
    if (bound.slope < 0.0 && std::isfinite(bound.excess)) {
      next = (y - bound.excess / bound.slope) * (1.0 + care.overshoot);
    }
    if (holds && !(next > 0.0 && next < y * (1.0 - care.overshoot))) return proven;
    if (!holds) next = std::clamp(next, y * (1.0 + 1e-8), 4.0 * y);
    if (next >= proven) return proven;
    y = next;
  }
  if (std::isfinite(proven)) return proven;
  return Fail(ErrorKind::kNumerical, "certificate", "proves no bound with these prices");
}

bool HasQuestions(const DeadlineBox& box) {
  return !box.user_worth.empty() || !box.branches.empty();
}
DeadlineBox WithoutQuestions(const DeadlineBox& box) {
  DeadlineBox plain = box;
  plain.user_worth.clear();
  plain.cases.clear();
  plain.branches.clear();
  return plain;
}

// `certificate` is well-formed.
Expected<Certificate> Raise(const Scenario& scenario,
                            const Certificate& certificate,
                            const Effort& effort,
                            const Care& care) {
  Certificate raised = certificate;
  double y = 0.0;
  std::vector<double> proven_at;  // Per box, the y at which it was last proven as it stands.
  for (DeadlineBox& box : raised.boxes) {
    proven_at.push_back(y);
    // A box that the y so far proves needs no y of its own.
    if (y > 0.0 && Prove(scenario, box, y, effort, care).excess <= 0.0) continue;
    const double start = y > 0.0 ? y : certificate.scr_upper;
    auto least = LeastProven(scenario, box, start, effort, care);
    // Cases or branches that prove little are dropped where prices alone prove more.
    if (HasQuestions(box) && (!least || *least > start * (1.0 + kFarOff))) {
      DeadlineBox plain = WithoutQuestions(box);
      const auto without = LeastProven(scenario, plain, start, effort, care);
      if (without && (!least || *without < *least)) {
        box = std::move(plain);
        least = without;
      }
    }
    if (!least) return tl::unexpected(least.error());
    proven_at.back() = *least;
    y = std::max(y, *least);
  }
  // Excess need not fall with y in a box whose weights exceed w_t: look again at those that were
  // proven at a lower one.
  for (int i = 0; i < kRaisesMax && y > 0.0; ++i, y *= 1.0 + 1e-6) {
    raised.scr_upper = y;
    bool proven = true;
    for (std::size_t k = 0; k < proven_at.size() && proven; ++k) {
      if (proven_at[k] == y) continue;
      proven = Prove(scenario, raised.boxes[k], y, effort, care).excess <= 0.0;
      if (proven) proven_at[k] = y;
    }
    if (proven) return raised;
  }
  return Fail(ErrorKind::kNumerical, "certificate", "proves no bound with these prices");
}

// By prices alone.
Expected<Certificate> RaiseRoughly(const Scenario& scenario,
                                   const Certificate& certificate,
                                   const Effort& effort) {
  Certificate plain = certificate;
  for (DeadlineBox& box : plain.boxes) box = WithoutQuestions(box);
  return Raise(scenario, plain, effort, kRoughly);
}

}  // namespace

Expected<Verdict> SafeUpperBound(const Scenario& scenario,
                                 const Certificate& certificate,
                                 const Effort& effort) {
  if (const auto form = CheckForm(scenario, certificate); !form) {
    return tl::unexpected(form.error());
  }
  Verdict verdict{.proven = true, .boxes = {}, .reason = {}};
  std::size_t worst = 0;
  for (const DeadlineBox& box : certificate.boxes) {
    const BoxBound bound = Prove(scenario, box, certificate.scr_upper, effort);
    verdict.boxes.push_back({bound.excess, bound.user});
    if (!(bound.excess <= 0.0)) {
      verdict.proven = false;
      verdict.in_time = !effort.TimeIsUp();
      if (!verdict.in_time) break;
    }
    if (bound.excess > verdict.boxes[worst].excess) worst = verdict.boxes.size() - 1;
  }
  if (!verdict.in_time) {
    verdict.reason = fmt::format("the time was up at boxes[{}] of {}: neither proven nor refused",
                                 verdict.boxes.size() - 1,
                                 certificate.boxes.size());
  } else if (!verdict.proven) {
    verdict.reason = fmt::format(
        "boxes[{}] leaves {} of score unexplained at scr_upper {}; user {} contributes most",
        worst,
        verdict.boxes[worst].excess,
        certificate.scr_upper,
        scenario.users[static_cast<std::size_t>(verdict.boxes[worst].user)].id);
  }
  return verdict;
}

Expected<Certificate> RaiseToProof(const Scenario& scenario,
                                   const Certificate& certificate,
                                   const Effort& effort) {
  if (const auto form = CheckForm(scenario, certificate); !form) {
    return tl::unexpected(form.error());
  }
  if (!effort.IsLimited()) return Raise(scenario, certificate, effort, kFinely);
  auto rough = RaiseRoughly(scenario, certificate, effort);
  auto fine = Raise(scenario, certificate, effort, kFinely);
  return !fine || (rough && rough->scr_upper < fine->scr_upper) ? std::move(rough)
                                                                : std::move(fine);
}

}  // namespace dashf::certificate
