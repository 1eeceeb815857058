#include "solvers/priced_users.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"

namespace dashf::solvers::internal {
namespace {

constexpr std::size_t kChunkUsers = 512;
// Where delay is free its stand-in (EffectiveDelayWeight) would lower a bound.
constexpr double kBoundWeight = 1e-6;

Eigen::Vector4d WithSlot(const Eigen::Vector3d& share, double slot) {
  return {share[0], share[1], share[2], slot};
}

}  // namespace

PricedUsers::PricedUsers(const ScrProblem& problem, const Columns& columns, int threads)
    : problem_(problem),
      columns_(columns),
      threads_(threads),
      w_t_(EffectiveDelayWeight(problem)),
      w_t_bound_(problem.delay_weight_per_s > 0.0 ? w_t_ : kBoundWeight * w_t_) {
  const std::size_t users = problem.tx_power_w_max.size(), servers = problem.server_slots.size();
  for (const int slots : problem.server_slots) {
    slot_share_.push_back(slots == ScrProblem::kNoSlotLimit || slots == 0 ? 0.0 : 1.0 / slots);
  }
  const double load = static_cast<double>(users) / static_cast<double>(servers);
  const auto share = static_cast<float>(std::min(0.5, 1.5 / load));
  last_share_.assign(columns.size(), Eigen::Vector3f::Constant(share));
  psi_.assign(columns.size(), 0.0F);
  for (std::size_t n = 0; n < users; n += kChunkUsers) {
    chunks_.emplace_back();
    chunks_.back().user_begin = n;
    chunks_.back().user_end = std::min(users, n + kChunkUsers);
  }
  partial_.resize(chunks_.size());
}

Reply PricedUsers::ReplyOf(const DualPoint& at,
                           std::size_t user,
                           std::size_t column,
                           bool thorough) {
  const auto link = static_cast<std::size_t>(columns_.link[column]);
  const auto split = static_cast<std::size_t>(columns_.split[column]);
  const double w_t = thorough ? w_t_bound_ : w_t_;
  const UserTerms terms = MakeUserTerms(problem_, user, link, split, at.y, {w_t, w_t}, false);
  const Eigen::Vector4d& price = at.price[static_cast<std::size_t>(terms.server)];
  const Eigen::Vector3d start = last_share_[column].cast<double>();
  Reply reply = thorough ? SolveReplyFromSeveralStarts(terms, price.head<3>(), start)
                         : SolveReply(terms, price.head<3>(), start);
  last_share_[column] = reply.share.cast<float>();
  reply.psi -= price[3] * slot_share_[static_cast<std::size_t>(terms.server)];
  psi_[column] = static_cast<float>(reply.psi);
  return reply;
}

void PricedUsers::RefreshChunk(
    const DualPoint& at, double window, std::size_t count, bool thorough, std::size_t i) {
  ReplyChunk& chunk = chunks_[i];
  Partial& partial = partial_[i];
  partial = {};
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
      const Reply reply = ReplyOf(at, n, c, false);
      order.emplace_back(-reply.psi, c);
      cost.push_back(reply.cost);
    }
    if (count < order.size()) {
      std::nth_element(
          order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
      order.resize(count);
    }
    auto best = std::min_element(order.begin(), order.end());
    std::erase_if(
        order, [limit = best->first + window](const auto& entry) { return entry.first > limit; });
    if (thorough) {
      for (auto& [loss, c] : order) {
        const Reply reply = ReplyOf(at, n, c, true);
        loss = -reply.psi;
        cost[c - first] = reply.cost;
      }
    }
    best = std::min_element(order.begin(), order.end());
    partial.best -= best->first;
    partial.cost += cost[best->second - first];
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return a.second < b.second;
    });
    for (const auto& [loss, c] : order) {
      chunk.column.push_back(static_cast<int>(c));
      chunk.server.push_back(problem_.link_server[static_cast<std::size_t>(columns_.link[c])]);
    }
    chunk.begin.push_back(static_cast<int>(chunk.column.size()));
  }
  partial.value = partial.best;
  const std::size_t kept = chunk.column.size();
  chunk.psi.resize(kept);
  chunk.weight.resize(kept);
  chunk.share.resize(kept);
  chunk.yields.resize(kept);
}

DualSums PricedUsers::Refresh(const DualPoint& at,
                              double window,
                              std::size_t count,
                              bool thorough) {
  ParallelFor(chunks_.size(), threads_, [&](std::size_t i) {
    RefreshChunk(at, window, count, thorough, i);
  });
  return Sum(at);
}

void PricedUsers::SweepChunk(const DualPoint& at, double eta, std::size_t i) {
  ReplyChunk& chunk = chunks_[i];
  Partial& partial = partial_[i];
  partial.value = partial.best = partial.cost = 0.0;
  partial.vector.assign(at.price.size(), Eigen::Vector4d::Zero());
  partial.diagonal.assign(at.price.size(), Eigen::Matrix4d::Zero());
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
    partial.value += best + eta * std::log(sum);
    partial.best += best;
    partial.cost += cost;
    for (std::size_t c = first; c < last; ++c) {
      const double w = chunk.weight[c] /= sum;
      const auto m = static_cast<std::size_t>(chunk.server[c]);
      const Eigen::Vector4d& x = chunk.share[c];
      partial.vector[m] += w * x;
      partial.diagonal[m].topLeftCorner<3, 3>() += w * chunk.yields[c];
      partial.diagonal[m] += (w * (1.0 - w) / eta) * x * x.transpose();
    }
  }
}

DualSums PricedUsers::Sweep(const DualPoint& at, double eta) {
  ParallelFor(chunks_.size(), threads_, [&](std::size_t i) { SweepChunk(at, eta, i); });
  return Sum(at);
}

DualSums PricedUsers::Sum(const DualPoint& at) const {
  DualSums sums;
  const bool derivatives = !partial_.front().vector.empty();
  for (const Eigen::Vector4d& price : at.price) sums.value += price.sum();
  sums.best = sums.value;
  if (derivatives) {
    sums.excess.assign(at.price.size(), Eigen::Vector4d::Ones());
    sums.diagonal.assign(at.price.size(), Eigen::Matrix4d::Zero());
  }
  for (const Partial& partial : partial_) {
    sums.value += partial.value;
    sums.best += partial.best;
    sums.cost += partial.cost;
    for (std::size_t m = 0; m < sums.excess.size(); ++m) {
      sums.excess[m] -= partial.vector[m];
      sums.diagonal[m] += partial.diagonal[m];
    }
  }
  return sums;
}

void PricedUsers::Times(const ServerVector& vector, double eta, ServerVector* product) const {
  ParallelFor(chunks_.size(), threads_, [&](std::size_t i) {
    const ReplyChunk& chunk = chunks_[i];
    ServerVector& out = partial_[i].vector;
    out.assign(vector.size(), Eigen::Vector4d::Zero());
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
        out[m] += (w * moved) * chunk.share[c];
        out[m].head<3>() += w * (chunk.yields[c] * vector[m].head<3>());
      }
    }
  });
  product->assign(vector.size(), Eigen::Vector4d::Zero());
  for (const Partial& partial : partial_) {
    for (std::size_t m = 0; m < vector.size(); ++m) (*product)[m] += partial.vector[m];
  }
}

}  // namespace dashf::solvers::internal
