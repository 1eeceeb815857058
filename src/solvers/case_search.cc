#include "solvers/case_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/parallel.h"
#include "base/termination.h"

namespace dashf::solvers::internal {
namespace {

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

constexpr double kOpen = 1e-5;  // Of the cost: a decrease that is not worth another step.

class CaseSearch {
 public:
  CaseSearch(const ScrProblem& problem,
             const Columns& columns,
             const DualPoint& root,
             const CaseSearchOptions& options);
  CaseBound Run();

 private:
  void SolveAll();  // At worth_, y_ and eta_.
  void SearchAllThoroughly();
  double Smoothed() const;
  double Excess() const;  // D, not smoothed.
  // Newton's method in the worths, from where all is solved, until the model promises no more than
  // `tolerance`.
  void Descend(double tolerance);
  std::vector<double> NewtonStep(const std::vector<double>& gradient) const;
  bool Branch();
  CaseBound Bound();
  std::vector<float> Presence() const;
  double TimeLeftS() const { return options_.time_limit_s - watch_.ElapsedS(); }

  const ScrProblem& problem_;
  const Columns& columns_;
  const CaseSearchOptions& options_;
  const Stopwatch watch_;
  double y_, eta_ = 0.0;
  double cost_ = 0.0;  // y times the cost of the best replies to the first prices.
  std::vector<double> worth_;
  std::vector<ServerCaseTree> servers_;
};

CaseSearch::CaseSearch(const ScrProblem& problem,
                       const Columns& columns,
                       const DualPoint& root,
                       const CaseSearchOptions& options)
    : problem_(problem), columns_(columns), options_(options), y_(root.y) {
  PricedUsers users(problem, columns, options.threads);
  const DualSums sums =
      users.Refresh(root, std::numeric_limits<double>::infinity(), columns.size(), false);
  cost_ = sums.cost;
  for (std::size_t n = 0; n + 1 < columns.begin.size(); ++n) {
    const auto first = users.psi().begin() + columns.begin[n];
    const auto last = users.psi().begin() + columns.begin[n + 1];
    worth_.push_back(*std::max_element(first, last));
  }
  for (std::size_t m = 0; m < root.price.size(); ++m) {
    Eigen::Vector4d price = root.price[m];
    if (price[3] > 0.0) price[3] /= problem.server_slots[m];
    servers_.emplace_back(problem, columns, static_cast<int>(m), price);
  }
}

void CaseSearch::SolveAll() {
  ParallelFor(servers_.size(), options_.threads, [this](std::size_t m) {
    servers_[m].Solve(y_, worth_, eta_);
  });
}

void CaseSearch::SearchAllThoroughly() {
  ParallelFor(
      servers_.size(), options_.threads, [this](std::size_t m) { servers_[m].SearchThoroughly(); });
}

double CaseSearch::Smoothed() const {
  double value = 0.0;
  for (const double worth : worth_) value += worth;
  for (const ServerCaseTree& server : servers_) value += server.value();
  return value;
}

double CaseSearch::Excess() const {
  double value = 0.0;
  for (const double worth : worth_) value += worth;
  for (const ServerCaseTree& server : servers_) value += server.best();
  return value;
}

std::vector<double> CaseSearch::NewtonStep(const std::vector<double>& gradient) const {
  constexpr int kStepsMax = 100;
  constexpr double kReduction = 1e-2;
  const std::size_t users = gradient.size();
  std::vector<double> diagonal(users, 0.0), shift(users), step(users, 0.0), residual(users);
  for (const ServerCaseTree& server : servers_) server.AddDiagonal(&diagonal);
  for (std::size_t n = 0; n < users; ++n) {
    // Holds a worth about which the model knows nothing to a few eta.
    shift[n] = std::abs(gradient[n]) / (4.0 * eta_) + 1e-6 / eta_;
    diagonal[n] += shift[n];
    residual[n] = -gradient[n];
  }
  const auto precondition = [&](const std::vector<double>& r) {
    std::vector<double> z(users);
    for (std::size_t n = 0; n < users; ++n) z[n] = r[n] / diagonal[n];
    return z;
  };
  std::vector<double> z = precondition(residual), direction = z, product;
  double rz = Dot(residual, z);
  const double enough = kReduction * kReduction * rz;
  for (int i = 0; i < kStepsMax && rz > enough; ++i) {
    product.assign(users, 0.0);
    for (const ServerCaseTree& server : servers_) server.AddTimes(direction, &product);
    for (std::size_t n = 0; n < users; ++n) product[n] += shift[n] * direction[n];
    const double curvature = Dot(direction, product);
    if (!(curvature > 0.0)) break;
    const double length = rz / curvature;
    for (std::size_t n = 0; n < users; ++n) {
      step[n] += length * direction[n];
      residual[n] -= length * product[n];
    }
    z = precondition(residual);
    const double next = Dot(residual, z);
    for (std::size_t n = 0; n < users; ++n) direction[n] = z[n] + (next / rz) * direction[n];
    rz = next;
  }
  return step;
}

void CaseSearch::Descend(double tolerance) {
  constexpr int kStepsMax = 25, kHalvingsMax = 10;
  double value = Smoothed();
  double first = 1.0;
  for (int i = 0; i < kStepsMax && TimeLeftS() > 0.0; ++i) {
    std::vector<double> gradient(worth_.size(), 0.0);
    for (const ServerCaseTree& server : servers_) server.AddPresence(&gradient);
    for (double& g : gradient) g = 1.0 - g;
    const std::vector<double> step = NewtonStep(gradient);
    const double predicted = -Dot(gradient, step);
    if (!(predicted > tolerance)) return;
    const std::vector<double> from = worth_;
    double length = std::min(1.0, 4.0 * first);
    int halvings = 0;
    for (; halvings < kHalvingsMax; ++halvings, length *= 0.4) {
      for (std::size_t n = 0; n < from.size(); ++n) worth_[n] = from[n] + length * step[n];
      SolveAll();
      if (Smoothed() <= value - 1e-3 * length * predicted) break;
    }
    if (halvings == kHalvingsMax) {
      worth_ = from;
      SolveAll();
      return;
    }
    first = length;
    value = Smoothed();
  }
}

bool CaseSearch::Branch() {
  bool asked = false;
  for (ServerCaseTree& server : servers_) asked |= server.Branch();
  return asked;
}

// Raises y to where nothing is left, and takes the worths along as their users' costs rise.
CaseBound CaseSearch::Bound() {
  constexpr int kTimesMax = 8;
  constexpr double kMargin = 1e-6;  // The verifier should not have to look twice.
  constexpr double kFar = 1e-4;     // The best worths are elsewhere.
  CaseBound bound;
  for (int i = 0; i < kTimesMax; ++i) {
    std::vector<double> cost(worth_.size(), 0.0);
    for (const ServerCaseTree& server : servers_) server.AddCost(&cost);
    const double all = std::accumulate(cost.begin(), cost.end(), 0.0);
    const double rise = std::max(0.0, Excess() / all) + kMargin;
    y_ *= 1.0 + rise;
    for (std::size_t n = 0; n < cost.size(); ++n) worth_[n] -= rise * cost[n];
    SolveAll();
    if (rise > kFar && i == 0) Descend(kOpen * cost_);
    SearchAllThoroughly();
    if (Excess() <= 0.0) break;
  }
  if (Excess() <= 0.0) bound.y = y_;
  bound.user_worth = worth_;
  bound.presence = Presence();
  for (const ServerCaseTree& server : servers_) bound.cases.push_back(server.ToCases());
  return bound;
}

std::vector<float> CaseSearch::Presence() const {
  std::vector<float> presence(columns_.size(), 0.0F);
  for (const ServerCaseTree& server : servers_) server.AddColumnPresence(&presence);
  return presence;
}

CaseBound CaseSearch::Run() {
  constexpr int kRoundsMax = 40;
  constexpr double kFirst = 1e-3, kLast = 1e-4, kReduction = 0.5;  // Of a user's mean cost.
  constexpr double kProgress = 0.9;  // A round that leaves more of the gap has stalled.
  constexpr int kStalledMax = 4;
  const double mean = cost_ / static_cast<double>(worth_.size());
  if (!(mean > 0.0 && std::isfinite(mean))) return {};
  double last_gap = std::numeric_limits<double>::infinity();
  int stalled = 0;
  for (int round = 0; round < kRoundsMax; ++round) {
    eta_ = mean * std::max(kLast, kFirst * std::pow(kReduction, round));
    SolveAll();
    Descend(kOpen * cost_);
    const double y = y_ * (1.0 + Excess() / cost_);
    std::size_t cases = 0, looks = 0;
    for (const ServerCaseTree& server : servers_) {
      cases += server.cases();
      looks += server.cases() * server.candidates();
    }
    if (options_.on_round) options_.on_round(y, cases);
    if (options_.on_presence) options_.on_presence(Presence());
    const double gap = y / options_.enough - 1.0;
    stalled = gap > kProgress * last_gap ? stalled + 1 : 0;
    last_gap = gap;
    const bool last = gap <= 0.0 || stalled == kStalledMax || looks >= options_.looks_max;
    if (last || TimeLeftS() <= 0.0 || !Branch()) break;
  }
  SolveAll();
  SearchAllThoroughly();
  return Bound();
}

}  // namespace

CaseBound SearchCases(const ScrProblem& problem,
                      const Columns& columns,
                      const DualPoint& root,
                      const CaseSearchOptions& options) {
  return CaseSearch(problem, columns, root, options).Run();
}

}  // namespace dashf::solvers::internal
