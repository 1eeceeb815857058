#include "solvers/server_cases.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "solvers/priced_users.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNoMatter = 1e-3;  // Weight of a case that is not worth a question.
constexpr double kTorn = 0.01;

}  // namespace

ServerCaseTree::ServerCaseTree(const ScrProblem& problem,
                               const Columns& columns,
                               int server,
                               const Eigen::Vector4d& price)
    : problem_(problem), columns_(columns), server_(server) {
  option_begin_.push_back(0);
  for (std::size_t n = 0; n + 1 < columns.begin.size(); ++n) {
    for (int c = columns.begin[n]; c < columns.begin[n + 1]; ++c) {
      const auto link = static_cast<std::size_t>(columns.link[static_cast<std::size_t>(c)]);
      if (problem.link_server[link] == server) column_.push_back(c);
    }
    if (static_cast<int>(column_.size()) == option_begin_.back()) continue;
    user_.push_back(static_cast<int>(n));
    option_begin_.push_back(static_cast<int>(column_.size()));
  }
  UserSet all;
  all.price = price;
  const auto candidates = static_cast<int>(user_.size());
  all.users_max = std::min(candidates, problem.server_slots[static_cast<std::size_t>(server)]);
  all.elsewhere.assign(user_.size(), 1);
  all.allowed.assign(column_.size(), 1);
  all.share.assign(column_.size(), Eigen::Vector3f::Constant(0.1F));
  sets_.push_back(std::move(all));
  nodes_.push_back({.question = {}, .set = 0});
}

// The candidate's choices, smoothed: not here, or one of its options.
void ServerCaseTree::AddCandidate(std::size_t i, UserSet* set, Slope* slope) {
  const auto first = static_cast<std::size_t>(option_begin_[i]);
  const auto last = static_cast<std::size_t>(option_begin_[i + 1]);
  const double place = set->price[3] + worth_[i];
  double best = set->elsewhere[i] ? 0.0 : -kInfinity;
  for (std::size_t c = first; c < last; ++c) {
    if (!set->allowed[c]) continue;
    const Eigen::Vector3d price = set->price.head<3>(), start = set->share[c].cast<double>();
    const Reply reply = thorough_ ? SolveReplyFromSeveralStarts(terms_[c], price, start)
                                  : SolveReply(terms_[c], price, start);
    set->share[c] = reply.share.cast<float>();
    psi_[c] = reply.psi - place;
    reply_[c] = reply;
    best = std::max(best, psi_[c]);
  }
  double sum = set->elsewhere[i] ? std::exp(-best / eta_) : 0.0;
  for (std::size_t c = first; c < last; ++c) {
    set->presence[c] = set->allowed[c] ? std::exp((psi_[c] - best) / eta_) : 0.0;
    sum += set->presence[c];
  }
  set->value += best + eta_ * std::log(sum);
  set->best += best;
  Eigen::Vector4d mean = Eigen::Vector4d::Zero();
  double member = 0.0, mean_cost = 0.0;
  for (std::size_t c = first; c < last; ++c) {
    const double w = set->presence[c] /= sum;
    if (!(w > 0.0)) continue;
    const Eigen::Vector3d& share = reply_[c].share;
    const Eigen::Vector4d x(share[0], share[1], share[2], 1.0);
    member += w;
    mean_cost += w * reply_[c].cost;
    mean += w * x;
    slope->hessian.topLeftCorner<3, 3>() += w * reply_[c].yields;
    slope->hessian += (w / eta_) * x * x.transpose();
  }
  slope->hessian -= mean * mean.transpose() / eta_;
  slope->gradient -= mean;
  set->member[i] = member;
  set->user_cost[i] = mean_cost;
  set->cross[i] = (1.0 - member) / eta_ * mean;
}

double ServerCaseTree::Evaluate(const Eigen::Vector4d& price, UserSet* set, Slope* slope) {
  set->price = price;
  // The places that count against the price: users_min or users_max, whichever costs more.
  const double low = price[3] * set->users_min, high = price[3] * set->users_max;
  const double most = std::max(low, high), spread = set->users_max - set->users_min;
  const double share = 1.0 / (1.0 + std::exp((low - high) / eta_));
  set->best = price.head<3>().sum() + most;
  set->value = set->best + eta_ * std::log1p(std::exp(-std::abs(high - low) / eta_));
  slope->gradient << 1.0, 1.0, 1.0, set->users_min + share * spread;
  slope->hessian.setZero();
  slope->hessian(3, 3) = share * (1.0 - share) * spread * spread / eta_;
  for (std::size_t i = 0; i < user_.size(); ++i) AddCandidate(i, set, slope);
  return set->value;
}

// Newton's method in the four prices.
void ServerCaseTree::SolveSet(UserSet* set) {
  constexpr int kStepsMax = 40, kHalvingsMax = 20;
  const double unit = problem_.score_scale * problem_.score_gain;
  set->presence.assign(column_.size(), 0.0);
  set->member.assign(user_.size(), 0.0);
  set->user_cost.assign(user_.size(), 0.0);
  set->cross.assign(user_.size(), Eigen::Vector4d::Zero());
  // Where any number of users may come a place costs nothing.
  const bool counts = set->users_min > 0 || set->users_max < static_cast<int>(user_.size());
  if (!counts) set->price[3] = 0.0;
  Slope at, there;
  double value = Evaluate(set->price, set, &at);
  for (int step = 0;; ++step) {
    Eigen::Matrix4d h = at.hessian;
    Eigen::Vector4d g = at.gradient, price = set->price;
    bool free[4];
    for (int j = 0; j < 4; ++j) {
      if (j < 3 && price[j] < 1e-9 * unit) price[j] = g[j] < 0.0 ? 1e-3 * unit : 0.0;
      free[j] = j < 3 ? price[j] > 0.0 : counts;
      h(j, j) += 1e-9 * h.trace() + 1e-12;
      if (free[j]) continue;
      h.row(j).setZero();
      h.col(j).setZero();
      h(j, j) = 1.0;
      g[j] = 0.0;
    }
    if (price != set->price) value = Evaluate(price, set, &at);
    const Eigen::LDLT<Eigen::Matrix4d> factor(h);
    const Eigen::Vector4d newton = -factor.solve(g);
    const double decrement = -g.dot(newton);
    if (!(decrement > 1e-4 * eta_) || step == kStepsMax) {
      set->inverse = factor.solve(Eigen::Matrix4d::Identity());
      for (int j = 0; j < 4; ++j) {
        if (free[j]) continue;
        set->inverse.row(j).setZero();
        set->inverse.col(j).setZero();
      }
      return;
    }
    double length = 1.0;
    int halvings = 0;
    for (; halvings < kHalvingsMax; ++halvings, length *= 0.5) {
      Eigen::Vector4d moved = price + length * newton;
      for (int j = 0; j < 3; ++j) moved[j] = std::max(moved[j], 0.1 * price[j]);
      if (Evaluate(moved, set, &there) <= value - 1e-4 * length * decrement) break;
    }
    if (halvings == kHalvingsMax) {
      value = Evaluate(price, set, &at);
      step = kStepsMax - 1;
      continue;
    }
    value = set->value;
    at = there;
  }
}

void ServerCaseTree::MakeTerms(double y, double delay_weight_per_s) {
  terms_.clear();
  for (const int column : column_) {
    const auto c = static_cast<std::size_t>(column);
    terms_.push_back(MakeUserTerms(problem_,
                                   static_cast<std::size_t>(columns_.user[c]),
                                   static_cast<std::size_t>(columns_.link[c]),
                                   static_cast<std::size_t>(columns_.split[c]),
                                   y,
                                   {delay_weight_per_s, delay_weight_per_s},
                                   false));
  }
  terms_y_ = y;
  psi_.resize(column_.size());
  reply_.resize(column_.size());
}

void ServerCaseTree::SearchThoroughly() {
  MakeTerms(terms_y_, ConstantsOf(problem_).delay_weight_per_s_bound);
  thorough_ = true;
  best_ = -kInfinity;
  for (UserSet& set : sets_) {
    if (set.empty) continue;
    Slope slope;
    Evaluate(set.price, &set, &slope);
    best_ = std::max(best_, set.best);
  }
  thorough_ = false;
  terms_y_ = 0.0;  // The next Solve() makes terms of its own.
}

void ServerCaseTree::Solve(double y, const std::vector<double>& worth, double eta) {
  eta_ = eta;
  if (terms_y_ != y) MakeTerms(y, EffectiveDelayWeight(problem_));
  worth_.clear();
  for (const int n : user_) worth_.push_back(worth[static_cast<std::size_t>(n)]);
  value_ = best_ = -kInfinity;
  for (UserSet& set : sets_) {
    if (set.empty) continue;
    SolveSet(&set);
    value_ = std::max(value_, set.value);
    best_ = std::max(best_, set.best);
  }
  double sum = 0.0;
  for (UserSet& set : sets_) {
    set.weight = set.empty ? 0.0 : std::exp((set.value - value_) / eta);
    sum += set.weight;
  }
  for (UserSet& set : sets_) set.weight /= sum;
  value_ += eta * std::log(sum);
}

void ServerCaseTree::AddPresence(std::vector<double>* per_user) const {
  for (const UserSet& set : sets_) {
    if (!(set.weight > 0.0)) continue;
    for (std::size_t i = 0; i < user_.size(); ++i) {
      (*per_user)[static_cast<std::size_t>(user_[i])] += set.weight * set.member[i];
    }
  }
}

void ServerCaseTree::AddCost(std::vector<double>* per_user) const {
  for (const UserSet& set : sets_) {
    if (!(set.weight > 0.0)) continue;
    for (std::size_t i = 0; i < user_.size(); ++i) {
      (*per_user)[static_cast<std::size_t>(user_[i])] += set.weight * set.user_cost[i];
    }
  }
}

void ServerCaseTree::AddColumnPresence(std::vector<float>* per_column) const {
  for (const UserSet& set : sets_) {
    if (!(set.weight > 0.0)) continue;
    for (std::size_t c = 0; c < column_.size(); ++c) {
      (*per_column)[static_cast<std::size_t>(column_[c])] +=
          static_cast<float>(set.weight * set.presence[c]);
    }
  }
}

void ServerCaseTree::AddDiagonal(std::vector<double>* per_user) const {
  for (std::size_t i = 0; i < user_.size(); ++i) {
    double mean = 0.0, square = 0.0, own = 0.0;
    for (const UserSet& set : sets_) {
      if (!(set.weight > 0.0)) continue;
      const double s = set.member[i];
      mean += set.weight * s;
      square += set.weight * s * s;
      own += set.weight * (s * (1.0 - s) / eta_ - set.cross[i].dot(set.inverse * set.cross[i]));
    }
    (*per_user)[static_cast<std::size_t>(user_[i])] +=
        std::max(0.0, own) + (square - mean * mean) / eta_;
  }
}

void ServerCaseTree::AddTimes(const std::vector<double>& vector,
                              std::vector<double>* product) const {
  double mean = 0.0;
  for (const UserSet& set : sets_) {
    if (!(set.weight > 0.0)) continue;
    for (std::size_t i = 0; i < user_.size(); ++i) {
      mean += set.weight * set.member[i] * vector[static_cast<std::size_t>(user_[i])];
    }
  }
  for (const UserSet& set : sets_) {
    if (!(set.weight > 0.0)) continue;
    double along = 0.0;
    Eigen::Vector4d pull = Eigen::Vector4d::Zero();
    for (std::size_t i = 0; i < user_.size(); ++i) {
      const double v = vector[static_cast<std::size_t>(user_[i])];
      along += set.member[i] * v;
      pull += v * set.cross[i];
    }
    const Eigen::Vector4d reply = set.inverse * pull;
    for (std::size_t i = 0; i < user_.size(); ++i) {
      const auto n = static_cast<std::size_t>(user_[i]);
      const double s = set.member[i];
      (*product)[n] += set.weight * (s * (1.0 - s) / eta_ * vector[n] - set.cross[i].dot(reply) +
                                     s * (along - mean) / eta_);
    }
  }
}

// How much of the candidate is here with a split that takes something of the server: whoever trains
// all layers itself may as well be on any.
double ServerCaseTree::Served(const UserSet& set, std::size_t i) const {
  const auto last = static_cast<std::size_t>(option_begin_[i + 1]) - 1;
  return set.member[i] - (IsAllLocal(last) ? set.presence[last] : 0.0);
}

bool ServerCaseTree::IsAllLocal(std::size_t option) const {
  const auto c = static_cast<std::size_t>(column_[option]);
  const auto user = static_cast<std::size_t>(columns_.user[c]);
  return problem_.split_layers[static_cast<std::size_t>(columns_.split[c])] ==
         problem_.layers[user];
}

// The number of users first, then the user nearest to one half, then one between two splits.
bool ServerCaseTree::Ask(const UserSet& set, CaseNode* question) const {
  double users = 0.0, served = 0.0, most = kTorn;
  for (const double s : set.member) users += s;
  const double whole = std::floor(users + kTorn);
  for (std::size_t i = 0; i < user_.size(); ++i) {
    const double here = Served(set, i), torn = std::min(here, 1.0 - here);
    served += here;
    if (torn <= most) continue;
    most = torn;
    const bool all_local = IsAllLocal(static_cast<std::size_t>(option_begin_[i + 1]) - 1);
    const int layers = problem_.layers[static_cast<std::size_t>(user_[i])];
    *question = UserWithin{user_[i], 0, all_local ? layers - 1 : layers};
  }
  // Those who are not served count, but do not crowd.
  if (most > kTorn && users - served <= kTorn && users - whole > kTorn && whole >= set.users_min &&
      whole < set.users_max) {
    *question = UsersMax{static_cast<int>(whole)};
  }
  if (most > kTorn) return true;
  for (std::size_t i = 0; i < user_.size(); ++i) {
    double below = 0.0;
    for (int c = option_begin_[i]; c + 1 < option_begin_[i + 1]; ++c) {
      const auto option = static_cast<std::size_t>(c);
      below += set.presence[option];
      const double torn = std::min(below, set.member[i] - below);
      if (torn <= most) continue;
      most = torn;
      const auto split =
          static_cast<std::size_t>(columns_.split[static_cast<std::size_t>(column_[option])]);
      *question = UserWithin{user_[i], 0, problem_.split_layers[split]};
    }
  }
  return most > kTorn;
}

UserSet ServerCaseTree::Answered(const UserSet& set, const CaseNode& question, bool yes) const {
  UserSet out = set;
  if (const auto* count = std::get_if<UsersMax>(&question)) {
    if (yes) {
      out.users_max = std::min(out.users_max, count->users);
    } else {
      out.users_min = std::max(out.users_min, count->users + 1);
    }
  } else {
    const auto& asked = std::get<UserWithin>(question);
    const auto at = std::lower_bound(user_.begin(), user_.end(), asked.user);
    const auto i = static_cast<std::size_t>(at - user_.begin());
    for (int c = option_begin_[i]; c < option_begin_[i + 1]; ++c) {
      const auto option = static_cast<std::size_t>(c);
      const int k = problem_.split_layers[static_cast<std::size_t>(
          columns_.split[static_cast<std::size_t>(column_[option])])];
      if ((k >= asked.split_min && k <= asked.split_max) != yes) out.allowed[option] = 0;
    }
    if (yes) out.elsewhere[i] = 0;
  }
  int must = 0, may = 0;
  for (std::size_t i = 0; i < user_.size(); ++i) {
    const auto first = out.allowed.begin() + option_begin_[i];
    const bool here = std::find(first, out.allowed.begin() + option_begin_[i + 1], 1) !=
                      out.allowed.begin() + option_begin_[i + 1];
    must += !out.elsewhere[i];
    may += here;
    out.empty = out.empty || (!here && !out.elsewhere[i]);
  }
  out.users_min = std::max(out.users_min, must);
  out.users_max = std::min(out.users_max, may);
  out.empty = out.empty || out.users_min > out.users_max;
  return out;
}

bool ServerCaseTree::Branch() {
  bool asked = false;
  for (std::size_t i = 0, end = nodes_.size(); i < end; ++i) {
    if (nodes_[i].set < 0) continue;
    const auto s = static_cast<std::size_t>(nodes_[i].set);
    CaseNode question;
    if (nodes_[i].depth == kCaseDepthMax || sets_[s].weight < kNoMatter ||
        !Ask(sets_[s], &question)) {
      continue;
    }
    asked = true;
    const int depth = nodes_[i].depth + 1;
    sets_.push_back(Answered(sets_[s], question, false));
    sets_[s] = Answered(sets_[s], question, true);
    nodes_.push_back({.question = {}, .set = static_cast<int>(s), .depth = depth});
    nodes_.push_back({.question = {}, .set = static_cast<int>(sets_.size()) - 1, .depth = depth});
    nodes_[i].question = question;
    nodes_[i].yes = static_cast<int>(nodes_.size()) - 2;
    nodes_[i].no = nodes_[i].yes + 1;
    nodes_[i].set = -1;
  }
  return asked;
}

void ServerCaseTree::Emit(int node, std::vector<CaseNode>* out) const {
  const Node& here = nodes_[static_cast<std::size_t>(node)];
  if (here.set < 0) {
    out->push_back(here.question);
    Emit(here.yes, out);
    Emit(here.no, out);
    return;
  }
  const auto m = static_cast<std::size_t>(server_);
  const Eigen::Vector4d& price = sets_[static_cast<std::size_t>(here.set)].price;
  out->push_back(ServerPrices{.bandwidth_per_hz = price[0] / problem_.server_bandwidth_hz[m],
                              .power_per_w = price[1] / problem_.server_tx_power_w_max[m],
                              .clock_per_hz = price[2] / problem_.server_clock_hz_max[m],
                              .slot = price[3]});
}

ServerCases ServerCaseTree::ToCases() const {
  ServerCases cases{.server = server_, .nodes = {}};
  Emit(0, &cases.nodes);
  return cases;
}

}  // namespace dashf::solvers::internal
