// One server's part of the bound that takes servers one by one (docs/certificates.md): the most
// that any set of users brings over what its users are worth elsewhere, by cases of who is on it.
// Each case has prices of its own, which minimise its bound; maxima over a user's choices and over
// cases are smoothed as in priced_users.h. Internal to the module; numerical, not outward-rounded;
// one thread at a time.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "plan/certificate.h"
#include "solvers/columns.h"
#include "solvers/reply.h"

namespace dashf::solvers::internal {

// A case: who may be on the server, and the answer at the worths last solved for.
struct UserSet {
  int users_min = 0, users_max = 0;
  std::vector<char> elsewhere;  // Per candidate: may it be on another server?
  std::vector<char> allowed;    // Per option.
  bool empty = false;           // No set of users is like this.
  // Of the whole bandwidth, power and clock; and of one user's place, of either sign.
  Eigen::Vector4d price = Eigen::Vector4d::Zero();
  std::vector<Eigen::Vector3f> share;  // Per option, of its last reply.
  double value = 0.0;                  // Smoothed.
  double best = 0.0;                   // Not smoothed.
  double weight = 0.0;                 // Among the server's cases.
  std::vector<double> presence;        // Per option; a candidate's sum to 1 if it is surely here.
  std::vector<double> member;          // Per candidate: their sum.
  std::vector<double> user_cost;       // Per candidate: -dvalue / dln y.
  std::vector<Eigen::Vector4d> cross;  // Per candidate: d2 value / dworth dprice.
  Eigen::Matrix4d inverse = Eigen::Matrix4d::Zero();  // Of d2 value / dprice2; 0 where not free.
};

class ServerCaseTree {
 public:
  // `price`: where the only case of a new tree starts. All must outlive it.
  ServerCaseTree(const ScrProblem& problem,
                 const Columns& columns,
                 int server,
                 const Eigen::Vector4d& price);

  // The least bound of every case at y and these worths (per user), smoothed by eta.
  void Solve(double y, const std::vector<double>& worth, double eta);
  // best() again where Solve() ended, with several starts for every reply.
  void SearchThoroughly();
  double value() const { return value_; }  // Smoothed maximum over the cases.
  double best() const { return best_; }    // Not smoothed.
  std::size_t cases() const { return sets_.size(); }
  std::size_t candidates() const { return user_.size(); }

  // The gradient in the worths is -presence; the Hessian's diagonal, and it times a vector.
  void AddPresence(std::vector<double>* per_user) const;
  // -d value / dln y by user.
  void AddCost(std::vector<double>* per_user) const;
  void AddDiagonal(std::vector<double>* per_user) const;
  void AddTimes(const std::vector<double>& vector, std::vector<double>* product) const;
  void AddColumnPresence(std::vector<float>* per_column) const;

  // Asks a question in every case that matters and divides a user; false if there is none.
  bool Branch();
  ServerCases ToCases() const;

 private:
  struct Node {
    CaseNode question;
    int yes = -1, no = -1;  // Nodes; of a case, -1.
    int set = -1;           // Of a case.
    int depth = 0;
  };
  struct Slope {
    Eigen::Vector4d gradient;
    Eigen::Matrix4d hessian;
  };
  void MakeTerms(double y, double delay_weight_per_s);
  double Evaluate(const Eigen::Vector4d& price, UserSet* set, Slope* slope);
  void AddCandidate(std::size_t candidate, UserSet* set, Slope* slope);
  void SolveSet(UserSet* set);
  double Served(const UserSet& set, std::size_t candidate) const;
  bool IsAllLocal(std::size_t option) const;
  bool Ask(const UserSet& set, CaseNode* question) const;
  UserSet Answered(const UserSet& set, const CaseNode& question, bool yes) const;
  void Emit(int node, std::vector<CaseNode>* out) const;

  const ScrProblem& problem_;
  const Columns& columns_;
  const int server_;
  std::vector<int> user_;          // Candidates.
  std::vector<int> option_begin_;  // Per candidate, and the end.
  std::vector<int> column_;        // Per option.
  std::vector<UserTerms> terms_;   // Per option, at terms_y_.
  std::vector<double> worth_;      // Per candidate.
  // Per option, of the last Evaluate(): after worth and place, and the reply.
  std::vector<double> psi_;
  std::vector<Reply> reply_;
  double terms_y_ = 0.0, eta_ = 0.0;
  bool thorough_ = false;
  double value_ = 0.0, best_ = 0.0;
  std::vector<Node> nodes_;
  std::vector<UserSet> sets_;
};

}  // namespace dashf::solvers::internal
