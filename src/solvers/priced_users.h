// The users' side of the Lagrangian dual (docs/model.md (9)): all users reply to given prices; the
// best replies, smoothed, give the dual's value, gradient and Hessian. Internal to the module.
//
// Prices are for the whole of a server's bandwidth, power, clock and slots, in units of score: a
// user on it takes the shares (beta, theta, sigma, 1 / slots). The maximum over a user's columns is
// smoothed as eta ln sum exp(psi / eta), which lies above it by at most eta ln(columns).
// Users are worked on in fixed chunks, each with arrays of its own, and sums run over the chunks in
// order: results depend neither on the number of threads nor on that of the processes (ranks) the
// chunks are shared out over (user_shards.h).
#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

#include "base/ranks.h"
#include "plan/certificate.h"
#include "solvers/columns.h"
#include "solvers/deadline_reply.h"
#include "solvers/method.h"
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
  ServerVector reach;                     // The most that a kept column takes of each resource.
};

// The columns of some users that are near their best, with their replies.
struct ReplyChunk {
  std::size_t user_begin = 0, user_end = 0;
  std::vector<int> begin;  // Per user of the chunk, and the end.
  std::vector<int> column, server;
  std::vector<double> psi, weight;  // psi after the slot's price.
  std::vector<Eigen::Vector4d> share;
  std::vector<Eigen::Matrix3d> yields;
  std::vector<Eigen::Vector2d> phase_weight_per_s;  // Makespan: the deadlines' multipliers.
};

// What one user's replies depend on besides its own rows and the servers: plain numbers.
struct ReplyConstants {
  double delay_weight_per_s = 0.0;
  double delay_weight_per_s_bound = 0.0;  // For replies that make a bound.
  double first_share = 0.0;               // Of every resource, where a first reply starts.
  std::size_t chunk_users = 0;
};
ReplyConstants ConstantsOf(const ScrProblem& problem);

// The part of rank 0's users that one rank replies for.
struct ChunkRange {
  std::size_t begin = 0, end = 0;
};

struct Errand;  // user_shards.h

class PricedUsers {
 public:
  // All users. `problem`, `columns` and `ranks` must outlive it. With `ranks` this is rank 0, whose
  // other ranks are in ReplyForRankZero() (user_shards.h); what it is asked, all do.
  PricedUsers(const ScrProblem& problem,
              const Columns& columns,
              int threads,
              Ranks* ranks = nullptr);
  // Another rank's users, as rank 0 shared them out.
  PricedUsers(const ScrProblem& problem,
              const Columns& columns,
              const ReplyConstants& constants,
              int threads,
              Ranks* ranks);

  // Makespan mode, before anything else and without ranks: from now on users keep the box's
  // deadlines and are charged their parts of its barriers (deadline_reply.h; an empty list of
  // weights counts as zeros); the box's prices are not looked at. `box` must outlive the next call.
  // False if a user has no column within the deadlines: then no plan lies in the box, and the other
  // calls must not be made.
  bool EnterBox(const DeadlineBox& box);

  // Every column replies; of each user the best `count`, within `window` of the best, are kept.
  // Returns the dual's value, not smoothed. `thorough`: several starts for the columns kept.
  DualSums Refresh(const DualPoint& at, double window, std::size_t count, bool thorough);
  // The kept columns reply.
  DualSums Sweep(const DualPoint& at, double eta);
  // The Hessian of the last Sweep times a vector.
  void Times(const ServerVector& vector, double eta, ServerVector* product) const;
  // Brings the columns that the other ranks keep, and their psi, to rank 0.
  void Gather();

  std::size_t columns() const { return columns_.size(); }
  // With ranks, the other ranks' chunks are as the last Gather() found them, with columns alone.
  const std::vector<ReplyChunk>& chunks() const { return chunks_; }
  // Per column, after the slot's price: of its last reply.
  const std::vector<float>& psi() const { return psi_; }
  const SearchTimes& times() const { return times_; }

 private:
  bool Leads() const { return ranks_ != nullptr && ranks_->rank() == 0; }
  void PrepareDeadlines();
  bool Meets(std::size_t column) const;
  PhaseCharges ChargesOf(std::size_t user) const;
  Reply ReplyOf(const DualPoint& at, std::size_t user, std::size_t column, bool thorough);
  // False if no reply of the column exceeds `level`: without the download's energy, which can only
  // be less, the problem is concave.
  bool CanExceed(double level, const DualPoint& at, std::size_t user, std::size_t column) const;
  void RefreshChunk(
      const DualPoint& at, double window, std::size_t count, bool thorough, std::size_t chunk);
  void SweepChunk(const DualPoint& at, double eta, std::size_t chunk);
  // Has body(i) done for every chunk i, by whoever owns it.
  template <class Body>
  void DoChunks(const Errand& errand,
                const ServerVector& vectors,
                StepTimes* times,
                const Body& body) const;
  // From `reach` on the largest entries are taken in place of the sums.
  void AddRows(std::span<double> sum, std::size_t reach, StepTimes* times) const;
  DualSums Sum(const DualPoint& at, bool derivatives, StepTimes* times) const;

  const ScrProblem& problem_;
  const Columns& columns_;
  const ReplyConstants constants_;
  const int threads_;
  Ranks* const ranks_;
  std::vector<double> slot_share_;           // 1 / slots; 0 without a limit.
  std::vector<Eigen::Vector3f> last_share_;  // Per column: where its next reply starts.
  std::vector<float> psi_;
  // Makespan mode; empty otherwise. Per column: the least phases, and the last multipliers.
  const DeadlineBox* box_ = nullptr;
  double barrier_cost_ = 0.0;  // What of the barriers in the box no user carries, without y.
  std::vector<Eigen::Vector2d> least_s_;
  std::vector<Eigen::Vector2f> last_weight_;
  std::vector<ReplyChunk> chunks_;
  ChunkRange own_;  // The chunks this process works on.
  // What each own chunk adds to a sum: one row of numbers (priced_users.cc).
  mutable std::vector<std::vector<double>> rows_;
  mutable SearchTimes times_;
};

}  // namespace dashf::solvers::internal
