// An association with its resources in sum mode, as one market per server: what changing a few
// users' columns is worth is found by clearing the markets they leave and join. Internal to the
// module; one thread at a time.
#pragma once

#include <span>
#include <vector>

#include "solvers/server_market.h"

namespace dashf::solvers::internal {

struct Change {
  int user = 0;
  int column = 0;                                   // The column the user moves to.
  Eigen::Vector3d share = Eigen::Vector3d::Zero();  // Where its reply starts there.
};

class MarketPlan {
 public:
  // `problem` and `columns` must outlive it.
  MarketPlan(const ScrProblem& problem, const Columns& columns, int threads);

  // One column per user, within the slots; prices of markets that stay as they are keep.
  void Assign(const std::vector<int>& column_of_user);
  // Clears every market at y, in parallel.
  void ClearAll(double y);
  // F(y) of the association: the sum of the markets' values.
  double Value() const;
  // The plan with shares scaled into the capacities.
  Plan Settled() const;

  // What the changes (of different users) would add to Value(). Slots must have room.
  double Try(std::span<const Change> changes);
  // Makes the changes of the last Try, whose markets are cleared finely now; returns what they did
  // add to Value(). Where markets hardly clear that may be far from what Try() said.
  double Commit();

  double y() const { return y_; }
  const Market& market(std::size_t server) const { return markets_[server]; }
  const std::vector<int>& columns_of_users() const { return column_of_user_; }
  int ServerOf(int column) const {
    return problem_
        .link_server[static_cast<std::size_t>(columns_.link[static_cast<std::size_t>(column)])];
  }
  bool HasRoom(std::size_t server) const {
    return static_cast<int>(markets_[server].members.size()) < problem_.server_slots[server];
  }
  const Member& MemberOf(std::size_t user) const;
  // Counts commits; the last one that touched this server.
  int stamp() const { return stamp_; }
  int stamp(std::size_t server) const { return market_stamp_[server]; }

 private:
  struct Trial {
    std::size_t server = 0;
    Market market;
  };
  Market& TrialOf(std::size_t server);

  const ScrProblem& problem_;
  const Columns& columns_;
  const int threads_;
  MarketClearing clearing_;
  double y_ = 0.0;
  std::vector<int> column_of_user_;
  std::vector<Market> markets_;
  std::vector<int> market_stamp_;
  int stamp_ = 0;
  std::vector<Trial> trials_;
  std::size_t trial_count_ = 0;
  std::vector<Change> tried_;
};

}  // namespace dashf::solvers::internal
