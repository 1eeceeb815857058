#include "certificate/user_bound.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "certificate/row_bound.h"

namespace dashf::certificate {
namespace {

double Widened(double limit) {
  return Up(limit * Up(1.0 + kLimitSlack));
}

// min over 0 < f <= F of weight W / (c f) + e kappa f^2 W / c + e epsilon W, rounded down.
// Splitting the first term in two equal parts, the mean inequality gives 3 (weight^2 e kappa /
// 4)^(1/3) W / c for any f; where even F is below the minimiser the value at F is the minimum.
double LocalCost(const Compute& compute, double flop, double weight, double energy_weight) {
  if (flop == 0.0) return 0.0;
  const double per_cycle = Down(flop / compute.flop_per_cycle);
  const double constant = Down(Down(energy_weight * compute.energy_j_per_flop) * flop);
  const double e = Down(energy_weight * compute.kappa_w_per_hz3);
  const double f = Widened(compute.clock_hz_max);
  if (weight >= Up(2.0 * Up(Up(Up(e * f) * f) * f))) {
    return Down(constant + Down(per_cycle * Down(Down(weight / f) + Down(e * Down(f * f)))));
  }
  const double cube = Down(Down(Down(weight * weight) * e) / 4.0);
  return Down(constant +
              Down(per_cycle * Down(3.0 * std::max(0.0, CbrtDown(std::max(0.0, cube))))));
}

// What a row pays per second of its phases, times scr_upper. Any numbers >= 0 give a bound: what
// they leave of the user's charge goes into the row's fixed cost.
struct PhaseWeights {
  double user = 0.0;
  double server = 0.0;
};

// A lower bound of carried max(min, T) - weight T over 0 <= T <= max.
double RestOfCharge(double carried, double weight, double min, double max) {
  const double left = Down(carried - weight);
  return weight <= carried ? Down(left * min) : Down(left * max);
}

// Looks for the weight at which a phase ends at the end of the box that it strives beyond. T falls
// with the weight, as a power of about -1/2 to -1/3 of it where no limit binds and hardly at all
// where the resources of the user's own are at theirs.
class WeightSearch {
 public:
  WeightSearch(double carried, double weight_min, double min, double max)
      : carried_(carried), weight_min_(weight_min), min_(min), max_(max) {}

  // The next weight to try where a phase of `time_s` pays `weight`; unchanged where nothing is to
  // be gained.
  double Next(double weight, double time_s) {
    constexpr double kNear = 1e-5, kPower = 2.5, kFarthest = 1e3, kStretch = 4.0;
    const bool above = weight > carried_ || (weight == carried_ && time_s > max_);
    const double end = above ? max_ : min_;
    if (!above && weight == carried_ && !(time_s < min_)) return weight;
    if (!(end > 0.0) || !std::isfinite(end) || !(time_s > 0.0)) return weight;
    const double ratio = std::clamp(time_s / end, 1.0 / kFarthest, kFarthest);
    if (std::abs(ratio - 1.0) <= kNear) return weight;
    const double from = std::max(weight, weight_min_);
    (ratio > 1.0 ? low_ : high_) = from;  // The weight is too low, or too high.
    double next = from * std::pow(ratio, kPower);
    if (low_ > 0.0 && high_ > low_) {
      if (next <= low_ || next >= high_ || ++inside_ % 2 == 0) next = std::sqrt(low_ * high_);
    } else {  // Whatever the power is, it will be bracketed soon.
      next = ratio > 1.0 ? std::max(next, from * stretch_) : std::min(next, from / stretch_);
      stretch_ *= kStretch;
    }
    // The charge has a kink at the weight that the user carries.
    return (next < carried_) == above ? carried_ : next;
  }

 private:
  const double carried_, weight_min_, min_, max_;
  double low_ = 0.0, high_ = 0.0, stretch_ = 1.0;
  int inside_ = 0;
};

// One alternative that is still in the race.
struct Candidate {
  const Link* link = nullptr;
  const ServerPrices* prices = nullptr;
  int k = 0;
  double upper = kInfinity;
  RowProblem row;
  Point near;
};

class Bounder {
 public:
  Bounder(const Scenario& scenario,
          const DeadlineBox& box,
          double scr_upper,
          std::size_t user,
          double tolerance)
      : scenario_(scenario),
        box_(box),
        user_(scenario.users[user]),
        table_(scenario.ProfileOf(user_)),
        tolerance_(tolerance) {
    const bool sum = scenario.objective.delay == DelayMode::kSum;
    const double w_t = scenario.objective.delay_weight_per_s;
    carried_.user = Down(scr_upper * (sum ? w_t : box.user_phase_weight_per_s[user]));
    carried_.server = Down(scr_upper * (sum ? w_t : box.server_phase_weight_per_s[user]));
    energy_weight_ = Down(scr_upper * scenario.objective.energy_weight_per_j);
    carried_.user = std::max(0.0, carried_.user);
    carried_.server = std::max(0.0, carried_.server);
    weight_min_ = 1e-6 * scr_upper * w_t / static_cast<double>(scenario.users.size());
    energy_weight_ = std::max(0.0, energy_weight_);
    scr_ = scr_upper;
    pivot_k_ = table_.layers() / 2;
  }

  UserBound OnAllServers(const std::vector<Link>& links) {
    PrepareSplits([](int) { return true; });
    for (const Link& link : links) {
      Screen(link, box_.servers[static_cast<std::size_t>(link.server)]);
    }
    return Bound();
  }

  UserBound OnServer(const Link& link,
                     const ServerPrices& prices,
                     const std::vector<bool>* allowed,
                     double enough) {
    PrepareSplits(
        [allowed](int k) { return allowed == nullptr || (*allowed)[static_cast<std::size_t>(k)]; });
    incumbent_ = enough - tolerance_;
    Screen(link, prices);
    return Bound();
  }

 private:
  UserBound Bound() {
    std::stable_sort(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
      return a.upper > b.upper;
    });
    // All peaks before any bound: rows that lose by a margin are bounded in few steps.
    for (Candidate& candidate : candidates_) {
      if (candidate.upper <= Target()) continue;
      candidate.near = Climb(candidate.row, candidate.near);
      Tighten(&candidate);
      Note(candidate.row, candidate.near);
    }
    UserBound bound;
    for (Candidate& candidate : candidates_) {
      double upper = candidate.upper;
      if (!(upper <= Target())) {
        upper = std::min(upper, BoundRow(candidate.row, candidate.near, tolerance_, &incumbent_));
      }
      bound.psi_upper = std::max(bound.psi_upper, upper);
    }
    bound.cost = cost_;
    return bound;
  }

  struct Split {
    int k = 0;
    double local_s_min = 0.0;
  };

  double Target() const { return incumbent_ + tolerance_; }

  template <class Allowed>
  void PrepareSplits(const Allowed& allowed) {
    const double clock = Widened(user_.compute.clock_hz_max);
    for (int k = 0; k <= table_.layers(); ++k) {
      if (!scenario_.SplitAllowed(user_, k) || !allowed(k)) continue;
      const double flop = table_.local_flop[static_cast<std::size_t>(k)];
      splits_.push_back({k, Down(Down(flop / user_.compute.flop_per_cycle) / clock)});
    }
  }

  RowProblem MakeRow(const Link& link,
                     const ServerPrices& prices,
                     int layers,
                     const PhaseWeights& weights) const {
    const auto k = static_cast<std::size_t>(layers);
    const Server& server = scenario_.servers[static_cast<std::size_t>(link.server)];
    RowProblem row;
    row.score_scale = scenario_.objective.score_scale;
    row.score_gain = scenario_.objective.score_gain;
    const double upload = table_.upload_bit[k];
    const double download = table_.download_bit[k];
    const double flop = table_.server_flop[k];
    if (upload > 0.0 || download > 0.0) row.share_per_hz = Up(1.0 / server.bandwidth_hz);
    if (download > 0.0) row.share_per_w = Up(1.0 / server.tx_power_w_max);
    if (flop > 0.0) row.share_per_clock = Up(1.0 / server.compute.clock_hz_max);
    row.bandwidth_price = prices.bandwidth_per_hz;
    row.power_price = prices.power_per_w;
    row.clock_price = prices.clock_per_hz;
    row.bandwidth_max = Widened(server.bandwidth_hz);
    row.power_max = Widened(server.tx_power_w_max);
    row.clock_max = Widened(server.compute.clock_hz_max);
    row.user_power_max = Widened(user_.tx_power_w_max);
    row.snr_hz_per_w = Up(link.gain / scenario_.noise_density_w_per_hz);
    row.upload_nat = std::max(0.0, Down(upload * kLn2.lo));
    row.download_nat = std::max(0.0, Down(download * kLn2.lo));
    row.user_weight_per_s = weights.user;
    row.server_weight_per_s = weights.server;
    row.energy_weight_per_j = energy_weight_;
    const double per_cycle = Down(flop / server.compute.flop_per_cycle);
    row.server_delay_cost = std::max(0.0, Down(weights.server * per_cycle));
    row.server_energy_cost =
        std::max(0.0, Down(Down(energy_weight_ * server.compute.kappa_w_per_hz3) * per_cycle));
    const double local =
        LocalCost(user_.compute, table_.local_flop[k], weights.user, energy_weight_);
    const double rest = Down(
        RestOfCharge(carried_.user, weights.user, box_.user_phase_s_min, box_.user_phase_s_max) +
        RestOfCharge(
            carried_.server, weights.server, box_.server_phase_s_min, box_.server_phase_s_max));
    const double constant = Down(Down(energy_weight_ * server.compute.energy_j_per_flop) * flop);
    row.fixed_cost = Down(Down(Down(local + constant) + prices.slot) + rest);
    return row;
  }

  // With every resource at its limit the phases still last longer than the box allows.
  bool MissesDeadlines(const RowProblem& row, const Link& link, const Split& split) const {
    const auto send = [&](double nat, double power) {
      if (nat == 0.0) return 0.0;
      const Interval rate = Interval(row.bandwidth_max) *
                            Log1p(Interval(row.snr_hz_per_w) * power / row.bandwidth_max);
      return Down(nat / rate.hi);
    };
    const Server& server = scenario_.servers[static_cast<std::size_t>(link.server)];
    const double cycles =
        Down(table_.server_flop[static_cast<std::size_t>(split.k)] / server.compute.flop_per_cycle);
    return Down(split.local_s_min + send(row.upload_nat, row.user_power_max)) >
               box_.user_phase_s_max ||
           Down(Down(cycles / row.clock_max) + send(row.download_nat, row.power_max)) >
               box_.server_phase_s_max;
  }

  // About how long the phases last at a point; +infinity where no weight ends them.
  PhaseWeights PhasesAt(const Candidate& candidate) const {
    const auto k = static_cast<std::size_t>(candidate.k);
    const Point& at = candidate.near;
    PhaseWeights phases;
    if (const double cycles = table_.local_flop[k] / user_.compute.flop_per_cycle; cycles > 0.0) {
      const double e = 2.0 * energy_weight_ * user_.compute.kappa_w_per_hz3;
      double clock = user_.compute.clock_hz_max;
      if (e > 0.0) clock = std::min(clock, std::cbrt(candidate.row.user_weight_per_s / e));
      phases.user += cycles / clock;
    }
    if (candidate.row.upload_nat > 0.0) {
      phases.user += candidate.row.upload_nat / (at.bandwidth_hz * at.upload_z);
    }
    if (candidate.row.share_per_clock > 0.0) {
      const Server& server = scenario_.servers[static_cast<std::size_t>(candidate.link->server)];
      phases.server += table_.server_flop[k] / server.compute.flop_per_cycle / at.clock_hz;
    }
    if (candidate.row.downloads()) {
      phases.server += candidate.row.download_nat / (at.bandwidth_hz * at.z);
    }
    return phases;
  }

  // Weights of its own for a row whose phases would end outside the box: within it a phase costs
  // the user no less than its lower end and may not outlast its upper one. The best bound lies
  // where each phase ends at the end it strives beyond (or the weight is the user's own).
  void Tighten(Candidate* candidate) const {
    constexpr int kStepsMax = 20;
    if (scenario_.objective.delay == DelayMode::kSum) return;
    Candidate trial = *candidate;
    PhaseWeights weights{trial.row.user_weight_per_s, trial.row.server_weight_per_s};
    WeightSearch user(carried_.user, weight_min_, box_.user_phase_s_min, box_.user_phase_s_max);
    WeightSearch server(
        carried_.server, weight_min_, box_.server_phase_s_min, box_.server_phase_s_max);
    for (int i = 0; i < kStepsMax; ++i) {
      const PhaseWeights time_s = PhasesAt(trial);
      const PhaseWeights next{user.Next(weights.user, time_s.user),
                              server.Next(weights.server, time_s.server)};
      if (next.user == weights.user && next.server == weights.server) return;
      weights = next;
      trial.row = MakeRow(*trial.link, *trial.prices, trial.k, weights);
      trial.near = Climb(trial.row, trial.near);
      if (trial.near.value < candidate->near.value) *candidate = trial;
    }
  }

  void Note(const RowProblem& row, const Point& point) {
    if (!(point.value > incumbent_)) return;
    incumbent_ = point.value;
    const double rho = row.downloads() ? std::expm1(point.z) / row.snr_hz_per_w : 0.0;
    const double paid = point.bandwidth_hz * (row.bandwidth_price + row.power_price * rho) +
                        point.clock_hz * row.clock_price;
    cost_ =
        (row.score_scale * std::log1p(row.score_gain * point.share) - paid - point.value) / scr_;
  }

  // Rows of one server that use every resource share one linearised score and one radio bound, that
  // of the fewest bits both ways; the rest have their turn alone.
  void Screen(const Link& link, const ServerPrices& prices) {
    const std::size_t first = candidates_.size();
    constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
    std::size_t pivot = kNone;  // Split as well as was best at the last server, if it is there.
    double upload_min = kInfinity;
    double download_min = kInfinity;
    for (const Split& split : splits_) {
      const RowProblem row = MakeRow(link, prices, split.k, carried_);
      if (MissesDeadlines(row, link, split)) continue;
      if (UsesEverything(row)) {
        upload_min = std::min(upload_min, row.upload_nat);
        download_min = std::min(download_min, row.download_nat);
        if (pivot == kNone || split.k <= pivot_k_) pivot = candidates_.size();
      }
      candidates_.push_back({&link, &prices, split.k, kInfinity, row, {}});
    }
    if (pivot == kNone) return;
    Candidate& best_row = candidates_[pivot];
    best_row.near = Climb(best_row.row, last_peak_);
    Tighten(&best_row);
    const RowProblem& row = best_row.row;
    const Point peak = best_row.near;
    last_peak_ = peak;
    Note(row, peak);
    const PhaseWeights weights{row.user_weight_per_s, row.server_weight_per_s};
    const Interval gain = row.score_gain;
    const Interval theta = Interval(row.score_scale) * gain / (Interval(1.0) + gain * peak.share);
    const Interval score =
        Interval(row.score_scale) * Log1p(gain * peak.share) - theta * peak.share;
    RowProblem radio = row;
    radio.upload_nat = upload_min;
    radio.download_nat = download_min;
    radio.bandwidth_price =
        (Interval(row.bandwidth_price) - Interval(theta.hi) * row.share_per_hz).lo;
    radio.power_price = (Interval(row.power_price) - Interval(theta.hi) * row.share_per_w).lo;
    radio.share_per_hz = radio.share_per_w = radio.share_per_clock = 0.0;
    radio.server_delay_cost = radio.server_energy_cost = radio.clock_price = 0.0;
    radio.fixed_cost = 0.0;
    const double tolerance = (weights.server > 0.0 ? kScreenTolerance : kScreenToleranceAtRest) *
                             row.score_scale * std::log1p(row.score_gain * peak.share);
    double radio_incumbent = -kInfinity;
    const double radio_upper = BoundRow(radio, Climb(radio, peak), tolerance, &radio_incumbent);
    double best = -kInfinity;
    for (std::size_t i = first; i < candidates_.size(); ++i) {
      Candidate& candidate = candidates_[i];
      candidate.near = peak;
      if (!UsesEverything(candidate.row)) continue;
      candidate.row = MakeRow(link, prices, candidate.k, weights);
      const double server =
          ServerGain(candidate.row, theta.hi, BestClock(candidate.row, theta.hi, peak.clock_hz));
      candidate.upper = Up(Up(Up(score.hi + radio_upper) + server) - candidate.row.fixed_cost);
      if (candidate.upper != candidate.upper) candidate.upper = kInfinity;
      if (candidate.upper > best) {
        best = candidate.upper;
        pivot_k_ = candidate.k;
      }
    }
  }

  static bool UsesEverything(const RowProblem& row) {
    return row.upload_nat > 0.0 && row.download_nat > 0.0 && row.share_per_clock > 0.0;
  }

  // Relative to the score. Where no delay weighs a linear score is bang-bang and screens badly:
  // more is spent on it.
  static constexpr double kScreenTolerance = 1e-2;
  static constexpr double kScreenToleranceAtRest = 3e-4;

  const Scenario& scenario_;
  const DeadlineBox& box_;
  const User& user_;
  const SplitProfile& table_;
  double tolerance_;
  double scr_ = 0.0;
  PhaseWeights carried_;     // By the user, of the barriers.
  double weight_min_ = 0.0;  // Where a phase's weight starts from 0.
  double energy_weight_ = 0.0;
  std::vector<Split> splits_;
  std::vector<Candidate> candidates_;
  int pivot_k_ = 0;
  Point last_peak_;
  double incumbent_ = -kInfinity;
  double cost_ = 0.0;
};

}  // namespace

UserBound BoundUser(const Scenario& scenario,
                    const DeadlineBox& box,
                    double scr_upper,
                    std::size_t user,
                    double tolerance) {
  return Bounder(scenario, box, scr_upper, user, tolerance).OnAllServers(scenario.links[user]);
}

UserBound BoundUserOnServer(const Scenario& scenario,
                            const DeadlineBox& box,
                            double scr_upper,
                            std::size_t user,
                            const Link& link,
                            const ServerPrices& prices,
                            const std::vector<bool>* allowed,
                            double enough,
                            double tolerance) {
  return Bounder(scenario, box, scr_upper, user, tolerance).OnServer(link, prices, allowed, enough);
}

}  // namespace dashf::certificate
