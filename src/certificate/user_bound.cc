#include "certificate/user_bound.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "certificate/row_bound.h"
#include "certificate/user_rows.h"

namespace dashf::certificate {
namespace {

bool UsesEverything(const RowProblem& row) {
  return row.upload_nat > 0.0 && row.download_nat > 0.0 && row.share_per_clock > 0.0;
}

// One alternative that is still in the race.
struct Candidate {
  std::size_t reach = 0;  // Whose server it is on.
  int k = 0;
  double upper = kInfinity;
  RowProblem row;
  Point near;
};

// A server that the user can be on; its candidates are first .. last - 1.
struct Reach {
  const Link* link = nullptr;
  const ServerPrices* prices = nullptr;
  std::size_t first = 0, last = 0;
  bool has_pivot = false;  // A row that uses everything; the bits are the least of such rows.
  double upload_min = kInfinity, download_min = kInfinity;
  double upper = kInfinity;  // Of its rows.
};

// A row's best point at the weights that suit it: what rows like it on other servers are first
// bounded from. Nothing rests on it but tightness.
struct Example {
  bool known = false;
  RowProblem row;
  Point peak;

  PhaseWeights weights() const { return {row.user_weight_per_s, row.server_weight_per_s}; }
  // About where a row of another gain has its best: at the same power per Hz both ways.
  Point SeenFrom(const RowProblem& other) const {
    Point near = peak;
    const double ratio = other.snr_hz_per_w / row.snr_hz_per_w;
    if (near.z > 0.0) near.z = std::log1p(std::expm1(near.z) * ratio);
    if (near.upload_z > 0.0) near.upload_z = std::log1p(std::expm1(near.upload_z) * ratio);
    return near;
  }
};

class Bounder {
 public:
  Bounder(const Scenario& scenario,
          const DeadlineBox& box,
          double scr_upper,
          std::size_t user,
          double tolerance,
          const Effort& effort)
      : scenario_(scenario),
        box_(box),
        rows_(scenario, box, scr_upper, user),
        tolerance_(tolerance),
        effort_(effort),
        scr_(scr_upper),
        pivot_k_(rows_.layers() / 2),
        examples_(static_cast<std::size_t>(rows_.layers()) + 1) {}

  UserBound OnAllServers(const std::vector<Link>& links, const SplitsOfUser* left) {
    if (effort_.TimeIsUp()) return {.psi_upper = kInfinity};
    for (std::size_t i = 0; i < links.size(); ++i) {
      const Link& link = links[i];
      // No plan has a user on a server without slots.
      if (scenario_.servers[static_cast<std::size_t>(link.server)].slots == 0) continue;
      const std::vector<bool>* allowed = left == nullptr ? nullptr : &(*left)[i];
      Enter(link, box_.servers[static_cast<std::size_t>(link.server)], allowed);
    }
    Screen();
    return Bound();
  }

  UserBound OnServer(const Link& link,
                     const ServerPrices& prices,
                     const std::vector<bool>* allowed,
                     double enough) {
    if (effort_.TimeIsUp()) return {.psi_upper = kInfinity};
    incumbent_ = enough - tolerance_;
    Enter(link, prices, allowed);
    Screen();
    return Bound();
  }

 private:
  double Target() const { return incumbent_ + tolerance_; }
  RowProblem MakeRow(const Candidate& of, const PhaseWeights& weights) const {
    const Reach& reach = reaches_[of.reach];
    return rows_.Make(*reach.link, *reach.prices, of.k, weights);
  }

  void Enter(const Link& link, const ServerPrices& prices, const std::vector<bool>* allowed) {
    Reach reach{.link = &link, .prices = &prices, .first = candidates_.size()};
    for (const int k : rows_.SplitsWithin(link, allowed)) {
      const RowProblem row = rows_.Make(link, prices, k, rows_.carried());
      if (UsesEverything(row)) {
        reach.has_pivot = true;
        reach.upload_min = std::min(reach.upload_min, row.upload_nat);
        reach.download_min = std::min(reach.download_min, row.download_nat);
      }
      candidates_.push_back({reaches_.size(), k, kInfinity, row, {}});
    }
    reach.last = candidates_.size();
    reaches_.push_back(reach);
  }

  // Rows of one server that use every resource share one linearised score and one radio bound, that
  // of the fewest bits both ways; the rest have their turn alone. All servers are first seen from
  // the best point of one; those that may be better than it then from their own.
  void Screen() {
    std::vector<Reach*> order;
    for (Reach& reach : reaches_) {
      if (reach.has_pivot) order.push_back(&reach);
    }
    if (order.empty()) return;
    ScreenFromItsOwn(order.front());
    const auto better = [](const Reach* a, const Reach* b) { return a->upper < b->upper; };
    for (std::size_t i = 1; i < order.size() && !effort_.TimeIsUp(); ++i) {
      ScreenFrom(best_pivot_, order[i]);
    }
    Reach* best = *std::max_element(order.begin(), order.end(), better);
    if (best == order.front() || !(best->upper > Target())) return;
    ScreenFromItsOwn(best);
  }

  // From the best point of a row of the server: that split as well as was best at the last server,
  // if it is there.
  void ScreenFromItsOwn(Reach* reach) {
    Candidate* pivot = nullptr;
    for (std::size_t i = reach->first; i < reach->last; ++i) {
      Candidate& candidate = candidates_[i];
      if (!UsesEverything(candidate.row)) continue;
      if (pivot == nullptr || candidate.k <= pivot_k_) pivot = &candidate;
    }
    Settle(pivot);
    const double before = incumbent_;
    Note(pivot->row, pivot->near);
    const Example own{true, pivot->row, pivot->near};
    if (incumbent_ > before || !best_pivot_.known) best_pivot_ = own;
    ScreenFrom(own, reach);
  }

  void ScreenFrom(const Example& example, Reach* reach) {
    const PhaseWeights weights = example.weights();
    const Interval gain = example.row.score_gain;
    const double scale = example.row.score_scale;
    const double share = example.peak.share;
    const Interval theta = Interval(scale) * gain / (Interval(1.0) + gain * share);
    const Interval score = Interval(scale) * Log1p(gain * share) - theta * share;
    const double tolerance = (weights.server > 0.0 ? kScreenTolerance : kScreenToleranceAtRest) *
                             scale * std::log1p(example.row.score_gain * share);
    double radio_upper = kInfinity;
    reach->upper = -kInfinity;
    for (std::size_t i = reach->first; i < reach->last; ++i) {
      Candidate& candidate = candidates_[i];
      if (!UsesEverything(candidate.row)) continue;
      const RowProblem row = MakeRow(candidate, weights);
      const Point near = example.SeenFrom(row);
      if (radio_upper == kInfinity)
        radio_upper = RadioBound(*reach, row, near, theta.hi, tolerance);
      const double server = ServerGain(row, theta.hi, BestClock(row, theta.hi, near.clock_hz));
      const double upper = Up(Up(Up(score.hi + radio_upper) + server) - row.fixed_cost);
      if (upper < candidate.upper || candidate.near.bandwidth_hz == 0.0) {
        candidate.row = row;
        candidate.near = near;
      }
      if (upper < candidate.upper) candidate.upper = upper;
      if (candidate.upper > reach->upper) {
        reach->upper = candidate.upper;
        pivot_k_ = candidate.k;
      }
    }
  }

  // The most that sending the fewest bits of the server's rows can leave of what bandwidth and
  // power score.
  static double RadioBound(
      const Reach& reach, RowProblem radio, Point near, double theta, double tolerance) {
    radio.upload_nat = reach.upload_min;
    radio.download_nat = reach.download_min;
    radio.bandwidth_price =
        (Interval(radio.bandwidth_price) - Interval(theta) * radio.share_per_hz).lo;
    radio.power_price = (Interval(radio.power_price) - Interval(theta) * radio.share_per_w).lo;
    radio.share_per_hz = radio.share_per_w = radio.share_per_clock = 0.0;
    radio.server_delay_cost = radio.server_energy_cost = radio.clock_price = 0.0;
    radio.fixed_cost = 0.0;
    double incumbent = -kInfinity;
    return BoundRow(radio, Climb(radio, near), tolerance, &incumbent);
  }

  UserBound Bound() {
    std::stable_sort(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
      return a.upper > b.upper;
    });
    // All peaks before any bound: rows that lose by a margin are bounded in few steps.
    for (Candidate& candidate : candidates_) {
      if (effort_.TimeIsUp()) break;
      if (candidate.upper <= Target() || LosesToTarget(&candidate)) continue;
      Settle(&candidate);
      Note(candidate.row, candidate.near);
    }
    UserBound bound;
    for (Candidate& candidate : candidates_) {
      double upper = candidate.upper;
      if (!(upper <= Target()) && !effort_.TimeIsUp()) {
        upper = std::min(upper, BoundRow(candidate.row, candidate.near, tolerance_, &incumbent_));
      }
      bound.psi_upper = std::max(bound.psi_upper, upper);
    }
    bound.cost = cost_;
    return bound;
  }

  // Is it proven so at the weights that suited the same split on another server? If not, it has
  // these weights, which are better to start from than the screen's.
  bool LosesToTarget(Candidate* candidate) const {
    const Example& example = examples_[static_cast<std::size_t>(candidate->k)];
    if (!example.known) return false;
    candidate->row = MakeRow(*candidate, example.weights());
    const RowProblem& row = candidate->row;
    candidate->near = example.SeenFrom(row);
    const double z = candidate->near.z;
    candidate->near = SolveAt(row, z, 0.0, row.bandwidth_max, candidate->near, kRough);
    if (!(candidate->near.value <= Target())) return false;
    // What these weights promise need not be true of the row: it is no one's incumbent.
    double incumbent = incumbent_;
    const double upper = BoundRow(row, candidate->near, tolerance_, &incumbent);
    candidate->upper = std::min(candidate->upper, upper);
    return candidate->upper <= Target();
  }

  // Climbs to the row's best point, and to weights of its own where its phases would end outside
  // the box: within it a phase costs the user no less than its lower end and may not outlast its
  // upper one. The best bound lies where each phase ends at the end it strives beyond (or the
  // weight is the user's own).
  void Settle(Candidate* candidate) {
    constexpr int kStepsMax = 60;
    candidate->near = Climb(candidate->row, candidate->near);
    Example& example = examples_[static_cast<std::size_t>(candidate->k)];
    if (scenario_.objective.delay == DelayMode::kMakespan) {
      const Link& link = *reaches_[candidate->reach].link;
      const double near = kNearEnd * std::sqrt(tolerance_ / candidate->row.score_scale);
      Candidate trial = *candidate;
      PhaseWeights weights{trial.row.user_weight_per_s, trial.row.server_weight_per_s};
      WeightSearch user = rows_.UserSearch(near), server = rows_.ServerSearch(near);
      for (int i = 0; i < kStepsMax; ++i) {
        const PhaseWeights time_s = rows_.PhasesAt(trial.row, link, trial.k, trial.near);
        const PhaseWeights next{user.Next(weights.user, time_s.user),
                                server.Next(weights.server, time_s.server)};
        if (next.user == weights.user && next.server == weights.server) break;
        weights = next;
        trial.row = MakeRow(trial, weights);
        trial.near = Climb(trial.row, trial.near);
        if (trial.near.value < candidate->near.value) *candidate = trial;
      }
    }
    if (!example.known || candidate->near.value > example.peak.value) {
      example = {true, candidate->row, candidate->near};
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

  // Relative to the score. Where no delay weighs a linear score is bang-bang and screens badly:
  // more is spent on it.
  static constexpr double kScreenTolerance = 1e-2;
  static constexpr double kScreenToleranceAtRest = 3e-4;
  // Of the square root of the tolerance: the bound's error is of second order in how far from the
  // box's end a phase ends.
  static constexpr double kNearEnd = 0.03;

  const Scenario& scenario_;
  const DeadlineBox& box_;
  const UserRows rows_;
  const double tolerance_;
  const Effort effort_;
  const double scr_;
  std::vector<Reach> reaches_;
  std::vector<Candidate> candidates_;
  int pivot_k_ = 0;
  Example best_pivot_;
  std::vector<Example> examples_;  // Per split.
  double incumbent_ = -kInfinity;
  double cost_ = 0.0;
};

}  // namespace

UserBound BoundUser(const Scenario& scenario,
                    const DeadlineBox& box,
                    double scr_upper,
                    std::size_t user,
                    double tolerance,
                    const Effort& effort,
                    const SplitsOfUser* left) {
  return Bounder(scenario, box, scr_upper, user, tolerance, effort)
      .OnAllServers(scenario.links[user], left);
}

UserBound BoundUserOnServer(const Scenario& scenario,
                            const DeadlineBox& box,
                            double scr_upper,
                            std::size_t user,
                            const Link& link,
                            const ServerPrices& prices,
                            const std::vector<bool>* allowed,
                            double enough,
                            double tolerance,
                            const Effort& effort) {
  return Bounder(scenario, box, scr_upper, user, tolerance, effort)
      .OnServer(link, prices, allowed, enough);
}

}  // namespace dashf::certificate
