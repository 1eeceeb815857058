#include "solvers/price_search.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/termination.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kEverything = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllColumns = std::numeric_limits<std::size_t>::max();

double Dot(const ServerVector& a, const ServerVector& b) {
  double sum = 0.0;
  for (std::size_t m = 0; m < a.size(); ++m) sum += a[m].dot(b[m]);
  return sum;
}

// One smoothed problem's Newton steps.
class NewtonDescent {
 public:
  // `scale`: the size of a price that matters. `psi_change_max`: how far one step may move any
  // user's psi at a server. `first_length` is kept from step to step.
  NewtonDescent(
      PricedUsers* users, double eta, double scale, double psi_change_max, double* first_length)
      : users_(*users),
        eta_(eta),
        scale_(scale),
        psi_change_max_(psi_change_max),
        first_length_(first_length) {}

  // One step from `at`, whose sums are `sums`; both move. Returns the decrease that Newton's model
  // predicted; 0 if there was none to be found.
  double Step(DualPoint* at, DualSums* sums);

 private:
  void FreeEntries(const DualPoint& at, const DualSums& sums);
  void Mask(ServerVector* vector) const;
  void Precondition(const ServerVector& residual, ServerVector* out) const;
  void SolveNewtonSystem(const DualPoint& at, const DualSums& sums);
  void ShortenFarSteps(const DualPoint& at, const DualSums& sums);

  PricedUsers& users_;
  const double eta_, scale_, psi_change_max_;
  ServerVector free_;  // 1 for prices that may move, else 0.
  double* first_length_;
  ServerVector step_;
  std::vector<Eigen::LDLT<Eigen::Matrix4d>> factors_;
};

void NewtonDescent::FreeEntries(const DualPoint& at, const DualSums& sums) {
  free_.resize(at.price.size());
  for (std::size_t m = 0; m < free_.size(); ++m) {
    for (int i = 0; i < 4; ++i) {
      free_[m][i] = at.price[m][i] > 0.0 || sums.excess[m][i] < 0.0 ? 1.0 : 0.0;
    }
  }
}

void NewtonDescent::Mask(ServerVector* vector) const {
  for (std::size_t m = 0; m < free_.size(); ++m) {
    (*vector)[m] = (*vector)[m].cwiseProduct(free_[m]);
  }
}

void NewtonDescent::Precondition(const ServerVector& residual, ServerVector* out) const {
  out->resize(residual.size());
  for (std::size_t m = 0; m < residual.size(); ++m) {
    (*out)[m] = factors_[m].solve(residual[m]).cwiseProduct(free_[m]);
  }
}

void NewtonDescent::SolveNewtonSystem(const DualPoint& at, const DualSums& sums) {
  constexpr int kStepsMax = 60;
  constexpr double kReduction = 1e-2;
  const std::size_t servers = free_.size();
  std::vector<Eigen::Vector4d> shift(servers);
  factors_.resize(servers);
  for (std::size_t m = 0; m < servers; ++m) {
    Eigen::Matrix4d block = free_[m].asDiagonal() * sums.diagonal[m] * free_[m].asDiagonal();
    // Holds every price to a change of its own size where the model knows no curvature; vanishes
    // with the excess.
    const Eigen::Vector4d size = at.price[m].array() + scale_;
    shift[m] = sums.excess[m].cwiseAbs().cwiseQuotient(size).array() + 1e-9 * block.trace();
    for (int i = 0; i < 4; ++i) block(i, i) += free_[m][i] > 0.0 ? shift[m][i] : 1.0;
    factors_[m].compute(block);
  }
  step_.assign(servers, Eigen::Vector4d::Zero());
  ServerVector residual = sums.excess, z, direction, product;
  for (Eigen::Vector4d& r : residual) r = -r;
  Mask(&residual);
  Precondition(residual, &z);
  direction = z;
  double rz = Dot(residual, z);
  const double enough = kReduction * kReduction * rz;
  for (int i = 0; i < kStepsMax && rz > enough; ++i) {
    users_.Times(direction, eta_, &product);
    for (std::size_t m = 0; m < servers; ++m) product[m] += shift[m].cwiseProduct(direction[m]);
    Mask(&product);
    const double curvature = Dot(direction, product);
    if (!(curvature > 0.0)) break;
    const double length = rz / curvature;
    for (std::size_t m = 0; m < servers; ++m) {
      step_[m] += length * direction[m];
      residual[m] -= length * product[m];
    }
    Precondition(residual, &z);
    const double next = Dot(residual, z);
    for (std::size_t m = 0; m < servers; ++m) {
      direction[m] = z[m] + (next / rz) * direction[m];
    }
    rz = next;
  }
}

// One server whose prices the model sends too far would shorten everyone's step.
void NewtonDescent::ShortenFarSteps(const DualPoint& at, const DualSums& sums) {
  constexpr double kFar = 0.3;  // Of the price.
  for (std::size_t m = 0; m < step_.size(); ++m) {
    const Eigen::Array4d size = at.price[m].array() + scale_;
    const double far = (step_[m].array().abs() / size).head<3>().maxCoeff();
    const double change = step_[m].cwiseAbs().dot(sums.reach[m]);
    const double length = std::min(far > kFar ? kFar / far : 1.0,
                                   change > psi_change_max_ ? psi_change_max_ / change : 1.0);
    step_[m] *= length;
  }
}

double NewtonDescent::Step(DualPoint* at, DualSums* sums) {
  constexpr int kHalvingsMax = 12;
  constexpr double kNegligible = 1e-9;
  FreeEntries(*at, *sums);
  SolveNewtonSystem(*at, *sums);
  ShortenFarSteps(*at, *sums);
  DualPoint trial{at->y, at->price};
  double length = std::min(1.0, 4.0 * *first_length_);
  for (int halvings = 0; halvings <= kHalvingsMax; ++halvings) {
    double predicted = 0.0;
    for (std::size_t m = 0; m < free_.size(); ++m) {
      for (int i = 0; i < 4; ++i) {
        const double price = at->price[m][i];
        double moved = price + length * step_[m][i];
        // A resource's price falls to 0 by and by, a slot's at once.
        if (i < 3) moved = std::max(moved, price > kNegligible * scale_ ? 0.1 * price : 0.0);
        trial.price[m][i] = std::max(moved, 0.0);
        predicted -= sums->excess[m][i] * (trial.price[m][i] - price);
      }
    }
    if (!(predicted > 0.0)) return 0.0;
    DualSums there = users_.Sweep(trial, eta_);
    if (there.value <= sums->value - 1e-3 * predicted) {
      at->price = trial.price;
      *first_length_ = length;
      *sums = std::move(there);
      return predicted;
    }
    // Where a parabola through what was seen has its least, but neither too far nor too near.
    length *= std::clamp(0.5 * predicted / (predicted - sums->value + there.value), 0.1, 0.5);
  }
  *sums = users_.Sweep(*at, eta_);
  return 0.0;
}

// How smooth the dual is in a stage, and how far below their user's best columns are looked at.
struct Smoothing {
  double eta = 0.0;
  double window = kEverything;
  bool settled = false;  // A stage has reached its minimum.
};

// The next stage's, after one that reached its minimum (`centred`) or did not.
void Advance(const PriceSearchOptions& options,
             double last,
             double mean_score,
             bool narrows,
             bool centred,
             Smoothing* smoothing) {
  constexpr double kReduction = 0.5, kWindow = 12.0;
  constexpr double kReductionWarm = 0.2, kRaise = 8.0, kRaisedMax = 0.3;
  double& eta = smoothing->eta;
  smoothing->settled |= centred;
  if (centred) {
    eta = std::max(last, eta * (options.warm ? kReductionWarm : kReduction));
  } else if (options.warm && !smoothing->settled && eta < kRaisedMax * mean_score) {
    eta = std::min(kRaise * eta, kRaisedMax * mean_score);
  } else {
    smoothing->window *= 2.0;
    return;
  }
  if (narrows) smoothing->window = kWindow * eta;
}

}  // namespace

DualPoint SearchPrices(const ScrProblem& problem,
                       const DualPoint& start,
                       const PriceSearchOptions& options,
                       PricedUsers* users) {
  constexpr double kCentred = 3e-3, kReserved = 3.0;
  constexpr int kStepsMax = 8, kStagesMax = 60;
  // Fewer are all kept.
  constexpr std::size_t kColumnsAlways = 20000;
  const Stopwatch watch;
  DualPoint at = start;
  double first_length = 1.0;
  const double count = static_cast<double>(problem.tx_power_w_max.size());
  const bool narrows = users->columns() > kColumnsAlways;
  const double first_window = narrows ? options.first_window : kEverything;
  DualSums sums = users->Refresh(at, first_window, kAllColumns, false);
  const double time_limit_s = options.time_limit_s - kReserved * watch.ElapsedS();
  // At the right y the cost of the best replies is worth their score.
  const double mean_score = options.mean_score > 0.0
                                ? options.mean_score
                                : std::max(sums.cost + sums.value, 1e-3 * sums.cost) / count;
  const double last = options.smoothing_last * mean_score;
  const double scale = 0.01 * mean_score * count / static_cast<double>(at.price.size());
  Smoothing smoothing{.eta = options.smoothing_first * mean_score};
  const double& eta = smoothing.eta;
  bool centred = true, refreshed = true;
  // The best point at which all columns were looked at. Between looks the descent sees the kept
  // ones alone, and what it gains on them may be lost on others.
  DualPoint best = at;
  double kept = first_window;  // How far below their user's best columns were kept.
  const auto bound_at = [&] { return at.y * (1.0 + sums.best / sums.cost); };
  double best_bound = bound_at();
  const auto look_again = [&] {
    sums = users->Refresh(at, smoothing.window, kAllColumns, false);
    kept = smoothing.window;
    if (!(bound_at() < best_bound)) return;
    best_bound = bound_at();
    best = at;
  };
  const auto centre_y = [&] {
    const double y = at.y * std::clamp(1.0 + sums.best / sums.cost, 0.5, 2.0);
    at.y = std::clamp(y, options.y_min, options.y_max);
  };
  for (int stage = 0; stage < kStagesMax; ++stage) {
    if (stage > 0) {
      // Every second stage looks at all columns again, and every one after prices moved far.
      refreshed = !refreshed || !centred || eta == last;
      if (refreshed) look_again();
      centre_y();
      if (at.y == options.y_min && sums.best < -options.far_below * sums.cost) return at;
    }
    sums = users->Sweep(at, eta);
    NewtonDescent descent(users, eta, scale, 0.5 * kept, &first_length);
    centred = false;
    for (int step = 0; step < kStepsMax; ++step) {
      if (watch.ElapsedS() > time_limit_s) return at;
      centred = descent.Step(&at, &sums) <= kCentred * eta * count;
      if (centred) break;
    }
    if (centred && eta <= last) {
      centre_y();
      return at;
    }
    Advance(options, last, mean_score, narrows, centred, &smoothing);
  }
  look_again();
  at = best;
  users->Refresh(at, smoothing.window, kAllColumns, false);
  users->Sweep(at, eta);
  return at;
}

bool RaiseToBound(double window, PricedUsers* users, DualPoint* at, double time_limit_s) {
  constexpr int kStepsMax = 30;
  constexpr std::size_t kThorough = 16;  // Columns of each user that are searched thoroughly.
  constexpr double kExact = 1e-8;
  const Stopwatch watch;
  // Newton's steps on a convex decreasing function come from the left; going a little past the rest
  // of them, and past where the search ended, finds a dual just below 0.
  at->y *= 1.0 + kExact;
  double bound = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kStepsMax; ++i) {
    if (watch.ElapsedS() > time_limit_s) return false;
    const DualSums sums = users->Refresh(*at, window, kThorough, true);
    if (sums.value <= 0.0) {
      bound = std::min(bound, at->y);
      if (sums.value >= -10.0 * kExact * sums.cost) break;
    }
    at->y *= std::clamp(1.0 + sums.value / sums.cost, 0.5, 2.0) * (1.0 + kExact);
  }
  at->y = bound;
  return std::isfinite(bound);
}

Certificate CandidateOf(const ScrProblem& problem, const DualPoint& bound) {
  Certificate certificate{.scr_upper = bound.y, .boxes = {DeadlineBox{}}};
  for (std::size_t m = 0; m < bound.price.size(); ++m) {
    const Eigen::Vector4d& price = bound.price[m];
    certificate.boxes.front().servers.push_back(
        {.bandwidth_per_hz = price[0] / problem.server_bandwidth_hz[m],
         .power_per_w = price[1] / problem.server_tx_power_w_max[m],
         .clock_per_hz = price[2] / problem.server_clock_hz_max[m],
         .slot = price[3] > 0.0 ? price[3] / problem.server_slots[m] : 0.0});
  }
  return certificate;
}

}  // namespace dashf::solvers::internal
