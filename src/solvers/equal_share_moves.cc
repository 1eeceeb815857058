#include "solvers/equal_share_moves.h"

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "solvers/resource_step.h"
#include "solvers/resource_terms.h"

namespace dashf::solvers {
namespace {

constexpr double kGainMin = 1e-9;  // Relative: less is rounding.

// 1 for bandwidth, power and clock if the choice needs them.
Eigen::Array3d NeedsOf(const ScrProblem& problem, int user, const Choice& choice) {
  const auto split = static_cast<std::size_t>(problem.FindSplit(user, choice.local_layers));
  const bool downloads = problem.split_download_bit[split] > 0.0;
  const bool transfers = downloads || problem.split_upload_bit[split] > 0.0;
  return {transfers ? 1.0 : 0.0,
          downloads ? 1.0 : 0.0,
          problem.split_server_flop[split] > 0.0 ? 1.0 : 0.0};
}

// Sums over users, and the two longest of each phase.
class Tally {
 public:
  void Add(const UserTotals& user) {
    sum_.score += user.score;
    sum_.energy_j += user.energy_j;
    sum_.user_phase_s += user.user_phase_s;
    sum_.server_phase_s += user.server_phase_s;
    user_phase_.Add(user.user_phase_s);
    server_phase_.Add(user.server_phase_s);
  }
  void Add(const Tally& other) {
    sum_.score += other.sum_.score;
    sum_.energy_j += other.sum_.energy_j;
    sum_.user_phase_s += other.sum_.user_phase_s;
    sum_.server_phase_s += other.sum_.server_phase_s;
    user_phase_.Add(other.user_phase_.first);
    server_phase_.Add(other.server_phase_.first);
  }
  // Of one that was added.
  void Remove(const UserTotals& user) {
    sum_.score -= user.score;
    sum_.energy_j -= user.energy_j;
    sum_.user_phase_s -= user.user_phase_s;
    sum_.server_phase_s -= user.server_phase_s;
    user_phase_.Remove(user.user_phase_s);
    server_phase_.Remove(user.server_phase_s);
  }
  double Scr(const ScrProblem& problem) const {
    const double delay_s = problem.delay == DelayMode::kMakespan
                               ? user_phase_.first + server_phase_.first
                               : sum_.user_phase_s + sum_.server_phase_s;
    const double cost =
        problem.delay_weight_per_s * delay_s + problem.energy_weight_per_j * sum_.energy_j;
    return cost > 0.0 ? sum_.score / cost : 0.0;
  }

 private:
  struct TopTwo {
    double first = 0.0, second = 0.0;
    void Add(double x) {
      second = std::max(second, std::min(x, first));
      first = std::max(first, x);
    }
    void Remove(double x) {
      if (x == first) first = second;  // The second is then too short, and no more asked for.
    }
  };
  UserTotals sum_;
  TopTwo user_phase_, server_phase_;
};

class EqualShareServers {
 public:
  EqualShareServers(const ScrProblem& problem, Association association)
      : problem_(problem), association_(std::move(association)), servers_(problem.servers()) {
    for (std::size_t n = 0; n < association_.size(); ++n) {
      Server& server = At(association_[n].server);
      server.users.push_back(static_cast<int>(n));
      server.needs += NeedsOf(problem, static_cast<int>(n), association_[n]);
    }
    for (Server& server : servers_) Refresh(&server);
  }

  const Association& association() const { return association_; }
  int Load(int server) const {
    return static_cast<int>(servers_[static_cast<std::size_t>(server)].users.size());
  }

  double ScrIfMoved(int user, const Choice& to) const {
    const int from = association_[static_cast<std::size_t>(user)].server;
    Tally all = WithoutUser(user);
    all.Add(WithUser(user, to));
    for (std::size_t m = 0; m < servers_.size(); ++m) {
      if (static_cast<int>(m) != from && static_cast<int>(m) != to.server) all.Add(servers_[m].now);
    }
    return all.Scr(problem_);
  }

  void Move(int user, const Choice& to) {
    Choice& choice = association_[static_cast<std::size_t>(user)];
    Server& left = At(choice.server);
    left.needs -= NeedsOf(problem_, user, choice);
    std::erase(left.users, user);
    choice = to;
    Server& joined = At(to.server);
    joined.needs += NeedsOf(problem_, user, to);
    joined.users.push_back(user);
    Refresh(&left);
    Refresh(&joined);
  }

 private:
  struct Server {
    std::vector<int> users;
    Eigen::Array3d needs = Eigen::Array3d::Zero();  // Users of bandwidth, power and clock.
    Tally now, with_one_fewer, with_one_more;       // The same users at other shares.
  };

  Server& At(int server) { return servers_[static_cast<std::size_t>(server)]; }
  const Server& At(int server) const { return servers_[static_cast<std::size_t>(server)]; }

  // What a user brings where `needs` users share.
  UserTotals Brings(int user, const Choice& choice, const Eigen::Array3d& needs) const {
    internal::Point shares = internal::Point::Zero();
    shares.head<3>() = NeedsOf(problem_, user, choice) / needs.max(1.0);
    return TotalsOf(problem_,
                    user,
                    internal::DecideAtPrices(
                        problem_, user, choice, shares, internal::EffectiveDelayWeight(problem_)));
  }
  UserTotals Brings(int user, const Eigen::Array3d& needs) const {
    return Brings(user, association_[static_cast<std::size_t>(user)], needs);
  }

  Tally Sum(const Server& server, const Eigen::Array3d& needs) const {
    Tally tally;
    for (const int user : server.users) tally.Add(Brings(user, needs));
    return tally;
  }

  void Refresh(Server* server) const {
    server->now = Sum(*server, server->needs);
    server->with_one_fewer = Sum(*server, server->needs - 1.0);
    server->with_one_more = Sum(*server, server->needs + 1.0);
  }

  Tally WithoutUser(int user) const {
    const Choice& choice = association_[static_cast<std::size_t>(user)];
    const Server& server = At(choice.server);
    if (server.users.size() == 1) return {};
    const Eigen::Array3d own = NeedsOf(problem_, user, choice);
    const Eigen::Array3d needs = server.needs - own;
    Tally tally = (own == 1.0).all() ? server.with_one_fewer : Sum(server, needs);
    tally.Remove(Brings(user, needs));
    return tally;
  }

  Tally WithUser(int user, const Choice& to) const {
    const Server& server = At(to.server);
    const Eigen::Array3d own = NeedsOf(problem_, user, to);
    const Eigen::Array3d needs = server.needs + own;
    Tally tally = (own == 1.0).all() ? server.with_one_more : Sum(server, needs);
    tally.Add(Brings(user, to, needs));
    return tally;
  }

  const ScrProblem& problem_;
  Association association_;
  std::vector<Server> servers_;
};

// The other server with a free slot where this user would lose least; nothing where there is none.
std::optional<Choice> BestOtherServer(const ScrProblem& problem,
                                      const EqualShareServers& servers,
                                      std::size_t n,
                                      double y) {
  std::optional<Choice> best;
  double least = std::numeric_limits<double>::infinity();
  for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
    const int server = problem.link_server[static_cast<std::size_t>(link)];
    const int load = servers.Load(server);
    if (server == servers.association()[n].server) continue;
    if (load >= problem.server_slots[static_cast<std::size_t>(server)]) continue;
    const PairLoss there = LossAtEqualShare(problem, static_cast<int>(n), server, load + 1, y);
    if (!(there.loss < least)) continue;
    least = there.loss;
    best = Choice{server, there.local_layers};
  }
  return best;
}

}  // namespace

PairLoss LossAtEqualShare(const ScrProblem& problem, int user, int server, int load, double y) {
  const auto n = static_cast<std::size_t>(user);
  const double delay_weight =
      problem.delay_weight_per_s /
      (problem.delay == DelayMode::kMakespan ? static_cast<double>(problem.users()) : 1.0);
  PairLoss best{std::numeric_limits<double>::infinity(), 0};
  for (int i = problem.split_begin[n]; i < problem.split_begin[n + 1]; ++i) {
    const int k = problem.split_layers[static_cast<std::size_t>(i)];
    const UserTotals totals =
        TotalsOf(problem, user, EqualShareDecision(problem, user, {server, k}, load));
    const double cost = delay_weight * (totals.user_phase_s + totals.server_phase_s) +
                        problem.energy_weight_per_j * totals.energy_j;
    const double loss = y * cost - totals.score;
    if (loss < best.loss) best = {loss, k};
  }
  return best;
}

Association MoveSingleUsers(const ScrProblem& problem,
                            Association association,
                            double scr,
                            const std::function<bool()>& out_of_time) {
  constexpr int kRoundsMax = 10;
  EqualShareServers servers(problem, std::move(association));
  bool improved = true;
  for (int round = 0; improved && round < kRoundsMax; ++round) {
    improved = false;
    for (std::size_t n = 0; n < servers.association().size(); ++n) {
      if (out_of_time()) return servers.association();
      const auto other = BestOtherServer(problem, servers, n, scr);
      if (!other) continue;
      const double moved = servers.ScrIfMoved(static_cast<int>(n), *other);
      if (!(moved > scr * (1.0 + kGainMin))) continue;
      servers.Move(static_cast<int>(n), *other);
      scr = moved;
      improved = true;
    }
  }
  return servers.association();
}

}  // namespace dashf::solvers
