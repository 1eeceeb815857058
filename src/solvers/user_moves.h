// Local search over associations at fixed y (sum mode): moves of one user to another server or
// split, then exchanges in which a user follows another in (a swap, or a chain over three servers).
// Every change is judged by clearing the markets it touches. Internal to the module.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "solvers/warm_start.h"

namespace dashf::solvers::internal {

// The columns worth trying, per user: begin[n] .. begin[n + 1] - 1. A change gains what
// plan->Value() does, less the tolls that change with it.
struct MoveOptions {
  std::vector<int> begin;
  std::vector<int> column;
  std::vector<int> order;     // All users: whose turn is when.
  std::size_t promising = 0;  // The first of them, who are likely to gain.
  Homes homes = {};
};

class UserMoves {
 public:
  // Asked after every user, with what plan->Value() has gained so far: is that enough?
  using Stop = std::function<bool(double gained)>;

  // All but `stop` must outlive it.
  UserMoves(const ScrProblem& problem,
            const Columns& columns,
            const MoveOptions& options,
            Stop stop);

  // Improves the plan at plan->y() until no change gains or `stop` says so; returns the gain.
  // If not `thorough`, exchanges are left to the promising users.
  double Improve(MarketPlan* plan, bool thorough);
  // From where no change gains: every user in turn is made to change to one of its other columns,
  // the others adapt by moves while it stays, then it may move too; what does not gain is undone.
  // In order of what the change alone gives up. Returns the gain.
  double Shake(MarketPlan* plan);

 private:
  // A column as it stands at its server's present prices.
  struct Quote {
    int stamp = -1;
    double psi = 0.0;
    Eigen::Vector3d share = Eigen::Vector3d::Zero();
    Eigen::Matrix3d yields = Eigen::Matrix3d::Zero();
  };
  struct Candidate {
    double estimate = 0.0;
    std::array<Change, 2> changes;
    std::size_t count = 1;
  };

  double TollChange(const MarketPlan& plan, std::size_t user, int from, int to) const {
    return options_.homes.Toll(user, plan.ServerOf(to)) -
           options_.homes.Toll(user, plan.ServerOf(from));
  }
  const Quote& QuoteOf(const MarketPlan& plan, std::size_t option);
  // Tries the changes: what they would gain.
  double GainOf(MarketPlan* plan, std::span<const Change> changes);
  // Makes what was tried; what it did gain.
  double Commit(MarketPlan* plan);
  bool IsEnough() const { return stop_(gained_ + tolls_); }
  double Adapt(MarketPlan* plan, std::size_t kept);
  bool NothingNew(const MarketPlan& plan, std::size_t user, int since) const;
  void CollectMoves(const MarketPlan& plan, std::size_t user);
  void CollectExchanges(const MarketPlan& plan, std::size_t user);
  // True if one was made and did gain: so every change that counts raises plan->Value(), and they
  // come to an end whatever the numbers are.
  bool MakeBest(MarketPlan* plan, int trials_max);
  // Over the first of options_.order; was any change made?
  bool Pass(MarketPlan* plan, bool exchanges, std::size_t users, std::size_t kept);

  const ScrProblem& problem_;
  const Columns& columns_;
  const MoveOptions& options_;
  const Stop stop_;
  MarketClearing clearing_;
  double gain_min_ = 0.0, gained_ = 0.0;
  double tolls_ = 0.0, toll_tried_ = 0.0;  // Paid for what was gained; of the last change tried.
  std::vector<Quote> quotes_;
  std::vector<int> moves_seen_, exchanges_seen_;  // Per user: the plan's stamp when last in vain.
  std::vector<Candidate> candidates_;
};

}  // namespace dashf::solvers::internal
