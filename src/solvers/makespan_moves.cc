#include "solvers/makespan_moves.h"

#include <algorithm>
#include <utility>

namespace dashf::solvers::internal {
namespace {

constexpr double kCoarse = 1e-4;  // Of score + y cost: a first look.
constexpr double kEnough = 1e-7;  // Of the score: less is no gain.

class Moves {
 public:
  Moves(const ScrProblem& problem,
        const Plan& start,
        const MakespanMovesOptions& options,
        double* work)
      : problem_(problem), options_(options), work_(*work), plan_(start) {
    Adopt(start);
  }

  Plan Run() {
    constexpr int kPassesMax = 100;
    for (int pass = 0; pass < kPassesMax; ++pass) {
      if (!MoveUsers() && !ExchangeServers()) break;
    }
    return plan_;
  }

 private:
  bool Spent() const { return work_ >= options_.work_max || options_.out_of_time(); }

  void Adopt(const Plan& plan) {
    const PlanTotals totals = TotalsOf(problem_, plan);
    plan_ = plan;
    association_ = AssociationOf(plan);
    y_ = totals.Scr();
    score_ = totals.score;
  }

  // F(y) of a candidate, to kCoarse; from below.
  double CoarseValue(const Association& candidate) {
    work_ += static_cast<double>(candidate.size());
    const ResourceResult found =
        AllocateResources(problem_, candidate, y_, nullptr, {.tolerance = kCoarse});
    const double slack = 2.0 * kCoarse * (found.score + y_ * found.cost);
    return found.score - y_ * found.cost + slack;
  }

  bool TakeIfBetter(const Association& candidate) {
    constexpr double kFineWork = 4.0;  // Coarse steps.
    work_ += kFineWork * static_cast<double>(candidate.size());
    RatioResult found = MaximizeScrForAssociation(problem_, candidate);
    if (!(found.scr > y_ * (1.0 + kEnough))) return false;
    Adopt(found.plan);
    return true;
  }

  // Every allowed (server, split) of a user; the most promising is looked at closely.
  bool MoveUsers() {
    bool moved = false;
    for (std::size_t n = 0; n < association_.size() && !Spent(); ++n) {
      Association candidate = association_;
      Choice best = association_[n];
      double most = kEnough * score_;
      for (int link = problem_.link_begin[n]; link < problem_.link_begin[n + 1]; ++link) {
        for (int split = problem_.split_begin[n]; split < problem_.split_begin[n + 1]; ++split) {
          candidate[n] = {problem_.link_server[static_cast<std::size_t>(link)],
                          problem_.split_layers[static_cast<std::size_t>(split)]};
          if (candidate[n] == association_[n] || !Near(n, candidate[n].local_layers) ||
              !IsAdmissible(problem_, candidate)) {
            continue;
          }
          const double value = CoarseValue(candidate);
          if (value <= most) continue;
          most = value;
          best = candidate[n];
        }
      }
      if (best == association_[n]) continue;
      candidate[n] = best;
      moved |= TakeIfBetter(candidate);
    }
    return moved;
  }

  // With many users only splits next to the present one and the ends are looked at.
  bool Near(std::size_t n, int layers) const {
    constexpr std::size_t kFew = 16;
    if (association_.size() <= kFew) return true;
    const auto first = problem_.split_layers.begin() + problem_.split_begin[n];
    const auto last = problem_.split_layers.begin() + problem_.split_begin[n + 1];
    const int distance = std::abs(layers - association_[n].local_layers);
    return distance <= 1 || layers == *first || layers == *(last - 1);
  }

  // Two users of different servers change places and keep their splits.
  bool ExchangeServers() {
    for (std::size_t a = 0; a < association_.size(); ++a) {
      for (std::size_t b = a + 1; b < association_.size() && !Spent(); ++b) {
        if (association_[a].server == association_[b].server) continue;
        Association candidate = association_;
        std::swap(candidate[a].server, candidate[b].server);
        if (!IsAdmissible(problem_, candidate)) continue;
        if (CoarseValue(candidate) > kEnough * score_ && TakeIfBetter(candidate)) return true;
      }
    }
    return false;
  }

  const ScrProblem& problem_;
  const MakespanMovesOptions& options_;
  double& work_;
  Plan plan_;
  Association association_;
  double y_ = 0.0, score_ = 0.0;
};

}  // namespace

Plan ImproveMakespan(const ScrProblem& problem,
                     const Plan& start,
                     const MakespanMovesOptions& options,
                     double* work) {
  return Moves(problem, start, options, work).Run();
}

}  // namespace dashf::solvers::internal
