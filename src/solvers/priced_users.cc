#include "solvers/priced_users.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/parallel.h"
#include "solvers/user_shards.h"

namespace dashf::solvers::internal {
namespace {

// Every chunk has a row of 24 numbers per server, hence not many chunks.
constexpr std::size_t kChunkUsersMin = 512, kChunksMax = 256;
// Where delay is free its stand-in (EffectiveDelayWeight) would lower a bound.
constexpr double kBoundWeight = 1e-6;

Eigen::Vector4d WithSlot(const Eigen::Vector3d& share, double slot) {
  return {share[0], share[1], share[2], slot};
}

// A row: value, best and cost; with derivatives, then 4 numbers per server that are added to the
// excess, the 16 of each server's diagonal block, and its reach.
constexpr std::size_t kValue = 0, kBest = 1, kCost = 2, kHead = 3;

std::size_t ReachBegin(std::size_t servers) {
  return kHead + 20 * servers;
}

std::size_t RowSize(std::size_t servers, bool derivatives) {
  return derivatives ? ReachBegin(servers) + 4 * servers : kHead;
}

Eigen::Map<Eigen::Vector4d> ExcessOf(std::vector<double>& row, std::size_t server) {
  return Eigen::Map<Eigen::Vector4d>(row.data() + kHead + 4 * server);
}

Eigen::Map<Eigen::Matrix4d> DiagonalOf(std::vector<double>& row,
                                       std::size_t servers,
                                       std::size_t server) {
  return Eigen::Map<Eigen::Matrix4d>(row.data() + kHead + 4 * servers + 16 * server);
}

Eigen::Map<Eigen::Vector4d> ReachOf(std::vector<double>& row,
                                    std::size_t servers,
                                    std::size_t server) {
  return Eigen::Map<Eigen::Vector4d>(row.data() + ReachBegin(servers) + 4 * server);
}

}  // namespace

ReplyConstants ConstantsOf(const ScrProblem& problem) {
  const std::size_t users = problem.tx_power_w_max.size(), servers = problem.server_slots.size();
  const double w_t = EffectiveDelayWeight(problem);
  const double load = static_cast<double>(users) / static_cast<double>(servers);
  return {.delay_weight_per_s = w_t,
          .delay_weight_per_s_bound = problem.delay_weight_per_s > 0.0 ? w_t : kBoundWeight * w_t,
          .first_share = std::min(0.5, 1.5 / load),
          .chunk_users = std::max(kChunkUsersMin, (users + kChunksMax - 1) / kChunksMax)};
}

PricedUsers::PricedUsers(const ScrProblem& problem,
                         const Columns& columns,
                         int threads,
                         Ranks* ranks)
    : PricedUsers(problem, columns, ConstantsOf(problem), threads, ranks) {
  if (!Leads()) return;
  own_ = OwnChunks(0, ranks->count(), chunks_.size());
  ShareOutUsers(problem, constants_, threads, chunks_, ranks);
}

PricedUsers::PricedUsers(const ScrProblem& problem,
                         const Columns& columns,
                         const ReplyConstants& constants,
                         int threads,
                         Ranks* ranks)
    : problem_(problem),
      columns_(columns),
      constants_(constants),
      threads_(threads),
      ranks_(ranks) {
  const std::size_t users = problem.tx_power_w_max.size();
  for (const int slots : problem.server_slots) {
    slot_share_.push_back(slots == ScrProblem::kNoSlotLimit || slots == 0 ? 0.0 : 1.0 / slots);
  }
  const auto share = static_cast<float>(constants.first_share);
  last_share_.assign(columns.size(), Eigen::Vector3f::Constant(share));
  psi_.assign(columns.size(), 0.0F);
  for (std::size_t n = 0; n < users; n += constants.chunk_users) {
    chunks_.emplace_back();
    chunks_.back().user_begin = n;
    chunks_.back().user_end = std::min(users, n + constants.chunk_users);
  }
  own_ = {0, chunks_.size()};
  rows_.resize(chunks_.size());
}

template <class Body>
void PricedUsers::DoChunks(const Errand& errand,
                           const ServerVector& vectors,
                           StepTimes* times,
                           const Body& body) const {
  const Stopwatch watch;
  if (Leads()) Announce(errand, vectors, ranks_);
  const double announced_s = watch.ElapsedS();
  ParallelFor(own_.end - own_.begin, threads_, [&](std::size_t i) { body(own_.begin + i); });
  ++times->calls;
  times->sum_s += announced_s;
  times->reply_s += watch.ElapsedS() - announced_s;
}

void PricedUsers::PrepareDeadlines() {
  least_s_.resize(columns_.size());
  for (std::size_t c = 0; c < least_s_.size(); ++c) {
    least_s_[c] = LeastPhases(problem_,
                              static_cast<std::size_t>(columns_.user[c]),
                              static_cast<std::size_t>(columns_.link[c]),
                              static_cast<std::size_t>(columns_.split[c]));
  }
  const auto weight =
      static_cast<float>(constants_.delay_weight_per_s / static_cast<double>(problem_.users()));
  last_weight_.assign(columns_.size(), Eigen::Vector2f::Constant(weight));
}

bool PricedUsers::Meets(std::size_t column) const {
  return least_s_[column][0] <= box_->user_phase_s_max &&
         least_s_[column][1] <= box_->server_phase_s_max;
}

bool PricedUsers::EnterBox(const DeadlineBox& box) {
  if (least_s_.empty()) PrepareDeadlines();
  box_ = &box;
  const auto barrier = [this](const std::vector<double>& weights, double min, double max) {
    const double left =
        problem_.delay_weight_per_s - std::accumulate(weights.begin(), weights.end(), 0.0);
    return left >= 0.0 || !std::isfinite(max) ? left * min : left * max;
  };
  barrier_cost_ =
      barrier(box.user_phase_weight_per_s, box.user_phase_s_min, box.user_phase_s_max) +
      barrier(box.server_phase_weight_per_s, box.server_phase_s_min, box.server_phase_s_max);
  for (std::size_t n = 0; n + 1 < columns_.begin.size(); ++n) {
    bool any = false;
    for (int c = columns_.begin[n]; c < columns_.begin[n + 1] && !any; ++c) {
      any = Meets(static_cast<std::size_t>(c));
    }
    if (!any) return false;
  }
  return true;
}

PhaseCharges PricedUsers::ChargesOf(std::size_t user) const {
  constexpr double kFloor = 1e-7, kMost = 30.0;
  const auto weight = [user](const std::vector<double>& weights) {
    return weights.empty() ? 0.0 : weights[user];
  };
  return {
      {weight(box_->user_phase_weight_per_s), box_->user_phase_s_min, box_->user_phase_s_max},
      {weight(box_->server_phase_weight_per_s), box_->server_phase_s_min, box_->server_phase_s_max},
      kFloor * constants_.delay_weight_per_s / static_cast<double>(problem_.users()),
      kMost * constants_.delay_weight_per_s};
}

Reply PricedUsers::ReplyOf(const DualPoint& at,
                           std::size_t user,
                           std::size_t column,
                           bool thorough) {
  const auto link = static_cast<std::size_t>(columns_.link[column]);
  const auto split = static_cast<std::size_t>(columns_.split[column]);
  const auto server = static_cast<std::size_t>(problem_.link_server[link]);
  const Eigen::Vector4d& price = at.price[server];
  const Eigen::Vector3d start = last_share_[column].cast<double>();
  Reply reply;
  if (box_ != nullptr) {
    const Eigen::Vector2d weight = last_weight_[column].cast<double>();
    const DeadlineReply met = SolveDeadlineReply(problem_,
                                                 user,
                                                 link,
                                                 split,
                                                 at.y,
                                                 price.head<3>(),
                                                 ChargesOf(user),
                                                 start,
                                                 weight,
                                                 thorough);
    reply = met.reply;
    last_weight_[column] = met.weight_per_s.cast<float>();
  } else {
    const double w_t =
        thorough ? constants_.delay_weight_per_s_bound : constants_.delay_weight_per_s;
    const UserTerms terms = MakeUserTerms(problem_, user, link, split, at.y, {w_t, w_t}, false);
    reply = thorough ? SolveReplyFromSeveralStarts(terms, price.head<3>(), start)
                     : SolveReply(terms, price.head<3>(), start);
  }
  last_share_[column] = reply.share.cast<float>();
  reply.psi -= price[3] * slot_share_[server];
  psi_[column] = static_cast<float>(reply.psi);
  return reply;
}

bool PricedUsers::CanExceed(double level,
                            const DualPoint& at,
                            std::size_t user,
                            std::size_t column) const {
  const double w_t = constants_.delay_weight_per_s_bound;
  UserTerms terms = MakeUserTerms(problem_,
                                  user,
                                  static_cast<std::size_t>(columns_.link[column]),
                                  static_cast<std::size_t>(columns_.split[column]),
                                  at.y,
                                  {w_t, w_t},
                                  false);
  terms.download_energy = 0.0;
  const auto m = static_cast<std::size_t>(terms.server);
  const Eigen::Vector3d price = at.price[m].head<3>(), near = last_share_[column].cast<double>();
  level += at.price[m][3] * slot_share_[m];
  return CeilingFrom(terms, price, near) > level && SolveReply(terms, price, near).psi > level;
}

void PricedUsers::RefreshChunk(
    const DualPoint& at, double window, std::size_t count, bool thorough, std::size_t i) {
  ReplyChunk& chunk = chunks_[i];
  std::vector<double>& row = rows_[i];
  row.assign(RowSize(problem_.server_slots.size(), false), 0.0);
  chunk.begin.assign(1, 0);
  chunk.column.clear();
  chunk.server.clear();
  std::vector<std::pair<double, std::size_t>> order;  // -psi, column.
  std::vector<double> cost;
  for (std::size_t n = chunk.user_begin; n < chunk.user_end; ++n) {
    const auto first = static_cast<std::size_t>(columns_.begin[n]);
    const auto last = static_cast<std::size_t>(columns_.begin[n + 1]);
    order.clear();
    cost.clear();
    for (std::size_t c = first; c < last; ++c) {
      cost.push_back(0.0);
      if (box_ != nullptr && !Meets(c)) {
        psi_[c] = -std::numeric_limits<float>::infinity();
        continue;
      }
      const Reply reply = ReplyOf(at, n, c, false);
      order.emplace_back(-reply.psi, c);
      cost.back() = reply.cost;
    }
    if (count < order.size()) {
      std::nth_element(
          order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
      order.resize(count);
    }
    auto best = std::min_element(order.begin(), order.end());
    if (thorough) {
      // The best first: most of the others cannot reach it, whatever their start.
      std::iter_swap(order.begin(), best);
      double highest = -std::numeric_limits<double>::infinity();
      for (auto& [loss, c] : order) {
        if (!CanExceed(highest, at, n, c)) continue;
        const Reply reply = ReplyOf(at, n, c, true);
        loss = -reply.psi;
        cost[c - first] = reply.cost;
        highest = std::max(highest, reply.psi);
      }
    }
    best = std::min_element(order.begin(), order.end());
    row[kBest] -= best->first;
    row[kCost] += cost[best->second - first];
    std::erase_if(
        order, [limit = best->first + window](const auto& entry) { return entry.first > limit; });
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return a.second < b.second;
    });
    for (const auto& [loss, c] : order) {
      chunk.column.push_back(static_cast<int>(c));
      chunk.server.push_back(problem_.link_server[static_cast<std::size_t>(columns_.link[c])]);
    }
    chunk.begin.push_back(static_cast<int>(chunk.column.size()));
  }
  row[kValue] = row[kBest];
  const std::size_t kept = chunk.column.size();
  chunk.psi.resize(kept);
  chunk.weight.resize(kept);
  chunk.share.resize(kept);
  chunk.yields.resize(kept);
  chunk.phase_weight_per_s.resize(box_ != nullptr ? kept : 0);
}

DualSums PricedUsers::Refresh(const DualPoint& at,
                              double window,
                              std::size_t count,
                              bool thorough) {
  const Errand errand{Errand::kRefresh, thorough, at.price.size(), count, at.y, window};
  DoChunks(errand, at.price, &times_.refresh, [&](std::size_t i) {
    RefreshChunk(at, window, count, thorough, i);
  });
  return Sum(at, false, &times_.refresh);
}

void PricedUsers::SweepChunk(const DualPoint& at, double eta, std::size_t i) {
  ReplyChunk& chunk = chunks_[i];
  std::vector<double>& row = rows_[i];
  row.assign(RowSize(at.price.size(), true), 0.0);
  for (std::size_t u = 0; u + 1 < chunk.begin.size(); ++u) {
    const auto first = static_cast<std::size_t>(chunk.begin[u]);
    const auto last = static_cast<std::size_t>(chunk.begin[u + 1]);
    double best = -std::numeric_limits<double>::infinity(), cost = 0.0;
    for (std::size_t c = first; c < last; ++c) {
      const Reply reply =
          ReplyOf(at, chunk.user_begin + u, static_cast<std::size_t>(chunk.column[c]), false);
      chunk.psi[c] = reply.psi;
      chunk.share[c] =
          WithSlot(reply.share, slot_share_[static_cast<std::size_t>(chunk.server[c])]);
      chunk.yields[c] = reply.yields;
      if (box_ != nullptr) {
        const auto column = static_cast<std::size_t>(chunk.column[c]);
        chunk.phase_weight_per_s[c] = last_weight_[column].cast<double>();
      }
      if (reply.psi > best) {
        best = reply.psi;
        cost = reply.cost;
      }
    }
    double sum = 0.0;
    for (std::size_t c = first; c < last; ++c) {
      chunk.weight[c] = std::exp((chunk.psi[c] - best) / eta);
      sum += chunk.weight[c];
    }
    row[kValue] += best + eta * std::log(sum);
    row[kBest] += best;
    row[kCost] += cost;
    for (std::size_t c = first; c < last; ++c) {
      const double w = chunk.weight[c] /= sum;
      const auto m = static_cast<std::size_t>(chunk.server[c]);
      const Eigen::Vector4d& x = chunk.share[c];
      ExcessOf(row, m) -= w * x;
      auto diagonal = DiagonalOf(row, at.price.size(), m);
      diagonal.topLeftCorner<3, 3>() += w * chunk.yields[c];
      diagonal += (w * (1.0 - w) / eta) * x * x.transpose();
      auto reach = ReachOf(row, at.price.size(), m);
      reach = reach.cwiseMax(x);
    }
  }
}

DualSums PricedUsers::Sweep(const DualPoint& at, double eta) {
  const Errand errand{Errand::kSweep, false, at.price.size(), 0, at.y, eta};
  DoChunks(errand, at.price, &times_.sweep, [&](std::size_t i) { SweepChunk(at, eta, i); });
  return Sum(at, true, &times_.sweep);
}

// In order of the chunks; each rank's are in order (user_shards.h).
void PricedUsers::AddRows(std::span<double> sum, std::size_t reach, StepTimes* times) const {
  const Stopwatch watch;
  SumInOrder(ranks_, sum, [&](std::size_t begin, std::size_t end) {
    const std::size_t middle = std::clamp(reach, begin, end);
    for (std::size_t i = own_.begin; i < own_.end; ++i) {
      const double* row = rows_[i].data();
      for (std::size_t k = begin; k < middle; ++k) sum[k] += row[k];
      for (std::size_t k = middle; k < end; ++k) sum[k] = std::max(sum[k], row[k]);
    }
  });
  times->sum_s += watch.ElapsedS();
}

DualSums PricedUsers::Sum(const DualPoint& at, bool derivatives, StepTimes* times) const {
  const std::size_t servers = at.price.size();
  std::vector<double> total(RowSize(servers, derivatives), 0.0);
  for (const Eigen::Vector4d& price : at.price) total[kValue] += price.sum();
  total[kValue] -= at.y * barrier_cost_;
  total[kBest] = total[kValue];
  total[kCost] = at.y * barrier_cost_;
  if (derivatives) std::fill_n(total.begin() + kHead, 4 * servers, 1.0);
  AddRows(total, derivatives ? ReachBegin(servers) : total.size(), times);
  DualSums sums;
  sums.value = total[kValue];
  sums.best = total[kBest];
  sums.cost = total[kCost];
  for (std::size_t m = 0; derivatives && m < servers; ++m) {
    sums.excess.push_back(ExcessOf(total, m));
    sums.diagonal.push_back(DiagonalOf(total, servers, m));
    sums.reach.push_back(ReachOf(total, servers, m));
  }
  return sums;
}

void PricedUsers::Times(const ServerVector& vector, double eta, ServerVector* product) const {
  const Errand errand{Errand::kTimes, false, vector.size(), 0, 0.0, eta};
  DoChunks(errand, vector, &times_.product, [&](std::size_t i) {
    const ReplyChunk& chunk = chunks_[i];
    std::vector<double>& row = rows_[i];
    row.assign(4 * vector.size(), 0.0);
    for (std::size_t u = 0; u + 1 < chunk.begin.size(); ++u) {
      const auto first = static_cast<std::size_t>(chunk.begin[u]);
      const auto last = static_cast<std::size_t>(chunk.begin[u + 1]);
      double mean = 0.0;
      for (std::size_t c = first; c < last; ++c) {
        const auto m = static_cast<std::size_t>(chunk.server[c]);
        mean += chunk.weight[c] * chunk.share[c].dot(vector[m]);
      }
      for (std::size_t c = first; c < last; ++c) {
        const double w = chunk.weight[c];
        const auto m = static_cast<std::size_t>(chunk.server[c]);
        const double moved = (chunk.share[c].dot(vector[m]) - mean) / eta;
        Eigen::Map<Eigen::Vector4d> out(row.data() + 4 * m);
        out += (w * moved) * chunk.share[c];
        out.head<3>() += w * (chunk.yields[c] * vector[m].head<3>());
      }
    }
  });
  product->assign(vector.size(), Eigen::Vector4d::Zero());
  const std::size_t size = 4 * product->size();
  AddRows({product->front().data(), size}, size, &times_.product);
}

void PricedUsers::Gather() {
  if (ranks_ == nullptr) return;
  if (Leads()) {
    Announce({.kind = Errand::kGather}, {}, ranks_);
    GatherReplies(columns_, ranks_, &chunks_, &psi_);
  } else {
    SendReplies(chunks_, psi_, ranks_);
  }
}

}  // namespace dashf::solvers::internal
