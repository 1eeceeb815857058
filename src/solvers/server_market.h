// One server's resource step in sum mode: the prices at which its users' replies just fill its
// bandwidth, power and clock. O(users) per Newton step, three unknowns. Internal to the module.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "solvers/columns.h"
#include "solvers/reply.h"

namespace dashf::solvers::internal {

struct Member {
  int column = 0;
  double psi = 0.0;
  Eigen::Vector3d share = Eigen::Vector3d::Zero();
  Eigen::Matrix3d yields = Eigen::Matrix3d::Zero();
};

struct Market {
  std::vector<Member> members;
  Eigen::Vector3d price = Eigen::Vector3d::Zero();   // Of all of each resource.
  Eigen::Matrix3d yields = Eigen::Matrix3d::Zero();  // Of all members.
  // Sum of the members' psi and of the prices: the most that score - y cost of these members can
  // be (where the replies are global), reached where the shares sum to 1.
  double value = 0.0;
};

// Clears markets; has working space of its own, so one per thread.
class MarketClearing {
 public:
  // `problem` and `columns` must outlive it.
  MarketClearing(const ScrProblem& problem, const Columns& columns);

  // Prices and replies of the members, from their present ones (all 0: from equal shares), until
  // every priced resource is used to `tolerance`. The value is then off by its square only.
  void Clear(double y, double tolerance, Market* market);
  // Scales shares down to the capacities and returns score - y cost of the members.
  double Settle(double y, Market* market) const;
  UserTerms TermsOf(int column, double y) const;

 private:
  void StartFromEqualShares(Market* market) const;
  double ReplyAll(const Eigen::Vector3d& price, const std::vector<Member>& from);

  const ScrProblem& problem_;
  const Columns& columns_;
  const double w_t_;
  std::vector<UserTerms> terms_;
  std::vector<Member> trial_;
  Eigen::Vector3d excess_;
  Eigen::Matrix3d yields_;
};

}  // namespace dashf::solvers::internal
