// The users' side of the Lagrangian dual (formulation (9)): all users reply to given prices; the
// best replies, smoothed, give the dual's value, gradient and Hessian. Internal to the module.
//
// Prices are for the whole of a server's bandwidth, power, clock and slots, in units of score: a
// user on it takes the shares (beta, theta, sigma, 1 / slots). The maximum over a user's columns is
// smoothed as eta ln sum exp(psi / eta), which lies above it by at most eta ln(columns).
// Users are worked on in fixed chunks, each with arrays of its own, and sums run over the chunks in
// order: results do not depend on the number of threads.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "solvers/columns.h"
#include "solvers/reply.h"

namespace dashf::solvers::internal {

using ServerVector = std::vector<Eigen::Vector4d>;

struct DualPoint {
  double y = 0.0;
  ServerVector price;  // >= 0; a slot's is 0 where the server has no slot limit.
};

struct DualSums {
  double value = 0.0;                     // The dual, prices included; smoothed by Sweep().
  double best = 0.0;                      // The dual of the columns looked at, not smoothed.
  double cost = 0.0;                      // -dbest / dln y.
  ServerVector excess;                    // dvalue / dprice: 1 - what the users take.
  std::vector<Eigen::Matrix4d> diagonal;  // The Hessian's own block of each server.
};

// The columns of some users that are near their best, with their replies.
struct ReplyChunk {
  std::size_t user_begin = 0, user_end = 0;
  std::vector<int> begin;  // Per user of the chunk, and the end.
  std::vector<int> column, server;
  std::vector<double> psi, weight;  // psi after the slot's price.
  std::vector<Eigen::Vector4d> share;
  std::vector<Eigen::Matrix3d> yields;
};

class PricedUsers {
 public:
  // `problem` and `columns` must outlive it.
  PricedUsers(const ScrProblem& problem, const Columns& columns, int threads);

  // Every column replies; of each user the best `count`, within `window` of the best, are kept.
  // Returns the dual's value, not smoothed. `thorough`: several starts for the columns kept.
  DualSums Refresh(const DualPoint& at, double window, std::size_t count, bool thorough);
  // The kept columns reply.
  DualSums Sweep(const DualPoint& at, double eta);
  // The Hessian of the last Sweep times a vector.
  void Times(const ServerVector& vector, double eta, ServerVector* product) const;

  std::size_t columns() const { return columns_.size(); }
  const std::vector<ReplyChunk>& chunks() const { return chunks_; }
  // Per column, after the slot's price: of its last reply.
  const std::vector<float>& psi() const { return psi_; }

 private:
  struct Partial {
    double value = 0.0, best = 0.0, cost = 0.0;
    ServerVector vector;
    std::vector<Eigen::Matrix4d> diagonal;
  };
  Reply ReplyOf(const DualPoint& at, std::size_t user, std::size_t column, bool thorough);
  void RefreshChunk(
      const DualPoint& at, double window, std::size_t count, bool thorough, std::size_t chunk);
  void SweepChunk(const DualPoint& at, double eta, std::size_t chunk);
  DualSums Sum(const DualPoint& at) const;

  const ScrProblem& problem_;
  const Columns& columns_;
  const int threads_;
  const double w_t_, w_t_bound_;
  std::vector<double> slot_share_;           // 1 / slots; 0 without a limit.
  std::vector<Eigen::Vector3f> last_share_;  // Per column: where its next reply starts.
  std::vector<float> psi_;
  std::vector<ReplyChunk> chunks_;
  mutable std::vector<Partial> partial_;
};

}  // namespace dashf::solvers::internal
