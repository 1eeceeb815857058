// The least bound over prices, and with the makespan of one deadline box over its phase weights
// together with them, where users are left only some of their rows (docs/model.md (9),
// docs/certificates.md). For scenarios of up to some dozen users: a dense Newton method. Internal
// to the module; numerical, not outward-rounded.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "solvers/box_prices.h"
#include "solvers/columns.h"
#include "solvers/deadline_reply.h"
#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

// Per user, the columns that are left, ascending.
using RowsOfUsers = std::vector<std::vector<int>>;

// The makespan's barriers; with the sum of delays there are no weights, and one box without ends.
inline bool HasDeadlines(const ScrProblem& problem) {
  return problem.delay == DelayMode::kMakespan;
}

struct BoxBound {
  double value = 0.0;  // D at `at`; +infinity where nothing could be computed.
  double cost = 0.0;   // -dD / dln y.
};

struct BoxEffort {
  // Of a user's mean score: how sharply the best row is told from the others, at first and at last.
  double smoothing_first = 0.05, smoothing_last = 1e-6;
  // Ends where the least value is known to lie above this share of what was found.
  double open_share = 0.9;
};

class BoxDual {
 public:
  // `problem` and `columns` (all rows) must outlive it.
  BoxDual(const ScrProblem& problem, const Columns& columns);

  // From the prices and weights in `at`. With the makespan the weights of each phase sum to w_t (no
  // other sum gives less, docs/certificates.md), and `box` must have finite ends. Every user must
  // have a row that meets them. Ends as soon as the value is at most `enough`.
  BoxBound Minimise(double y,
                    const DeadlineBox& box,
                    const RowsOfUsers& rows,
                    double enough,
                    const BoxEffort& effort,
                    BoxPrices* at);

  // Of the last Minimise(), for the columns that were left: psi at `at`, and how much of its user's
  // choice the last smoothed dual gives each at its minimum.
  double psi(int column) const { return psi_[static_cast<std::size_t>(column)]; }
  double share(int column) const { return weight_[static_cast<std::size_t>(column)]; }

 private:
  struct Derivatives;
  void Read(const BoxPrices& at);
  BoxPrices Written() const;
  DeadlineReply ReplyOf(const Eigen::VectorXd& x, int column, bool thorough);
  DeadlineReply ReplyWithin(const Eigen::VectorXd& x, int column, bool thorough) const;
  Eigen::VectorXd NewtonStep(const Derivatives& at) const;
  BoxBound LookAtAll(const Eigen::VectorXd& x, double eta);
  BoxBound Descend(double eta, double* decrement, bool* moved);
  double Smoothed(const Eigen::VectorXd& x, double eta, double mu, Derivatives* out);
  void AddUser(std::size_t user,
               const std::vector<DeadlineReply>& replies,
               double eta,
               Derivatives* out) const;
  bool Step(double eta, double mu, double* decrement);
  int PriceAt(std::size_t server, int resource) const {
    return price_at_[4 * server + static_cast<std::size_t>(resource)];
  }
  int WeightAt(std::size_t user, int phase) const {
    return deadlines_ ? prices_ + 2 * static_cast<int>(user) + phase : -1;
  }

  const ScrProblem& problem_;
  const Columns& columns_;
  const bool deadlines_;
  const ReplyConstants constants_;
  std::vector<int> price_at_;  // Per server and resource: its variable; -1: it has no price.
  int prices_ = 0, variables_ = 0;
  std::vector<double> slot_share_;
  std::vector<Eigen::Vector3f> last_share_;
  std::vector<Eigen::Vector2f> last_weight_;
  std::vector<double> psi_, weight_;
  std::vector<std::vector<int>> active_;  // Per user: columns near its best, ascending.
  bool grown_ = false;                    // By the last look at all.
  // Of the running Minimise():
  double y_ = 0.0;
  const DeadlineBox* box_ = nullptr;
  const RowsOfUsers* rows_ = nullptr;
  Eigen::VectorXd x_;  // Prices, then with deadlines (alpha, beta) of each user over w_t.
};

}  // namespace dashf::solvers::internal
