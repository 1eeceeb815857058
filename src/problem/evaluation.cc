#include "problem/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

namespace dashf {
namespace {

// Limits hold to this share of the limit (docs/model.md (3)).
constexpr double kRelativeTolerance = 1e-9;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

bool Exceeds(double value, double limit) {
  return !(value <= limit * (1.0 + kRelativeTolerance));
}

struct Phase {
  double delay_s = 0.0;
  double energy_j = 0.0;
};
constexpr Phase kNeverEnds{kInfinity, kInfinity};

// (1): T = W / (c f), E = kappa f^2 W / c + epsilon W.
Phase Train(double flop, const Compute& compute, double clock_hz) {
  if (flop == 0.0) return {};
  if (!(clock_hz > 0.0)) return kNeverEnds;
  return {flop / (compute.flop_per_cycle * clock_hz),
          compute.kappa_w_per_hz3 * clock_hz * clock_hz * flop / compute.flop_per_cycle +
              compute.energy_j_per_flop * flop};
}

// (2): r = b log2(1 + g p / (N0 b)), T = bits / r, E = p T.
Phase Send(double bits, double bandwidth_hz, double power_w, double gain_over_noise) {
  if (bits == 0.0) return {};
  if (!(bandwidth_hz > 0.0 && power_w > 0.0 && gain_over_noise > 0.0)) return kNeverEnds;
  const double snr = gain_over_noise * power_w / bandwidth_hz;
  // A bandwidth so small that its signal-to-noise ratio overflows still has the rate's finite
  // value.
  const double log_snr = std::isfinite(snr)
                             ? std::log1p(snr)
                             : std::log(gain_over_noise * power_w) - std::log(bandwidth_hz);
  const double delay_s = bits / (bandwidth_hz * log_snr / std::log(2.0));
  return {delay_s, power_w * delay_s};
}

// (6): v = a ln(1 + c ([V>0] q/P_m + [U+V>0] b/B_m + [W_s>0] s/F_m)).
double Score(const Objective& objective,
             const SplitProfile& table,
             const Decision& decision,
             const Server& server) {
  const auto k = static_cast<std::size_t>(decision.local_layers);
  double share = 0.0;
  if (table.download_bit[k] > 0.0) share += decision.server_tx_power_w / server.tx_power_w_max;
  if (table.upload_bit[k] + table.download_bit[k] > 0.0) {
    share += decision.bandwidth_hz / server.bandwidth_hz;
  }
  if (table.server_flop[k] > 0.0) share += decision.server_clock_hz / server.compute.clock_hz_max;
  return objective.score_scale * std::log1p(objective.score_gain * share);
}

class Evaluator {
 public:
  Evaluator(const Scenario& scenario, const Plan& plan) : scenario_(scenario), plan_(plan) {}

  Evaluation Run() {
    result_.users.resize(scenario_.users.size());
    granted_.resize(scenario_.servers.size());
    if (plan_.size() != scenario_.users.size()) {
      Violate("plan",
              "must have one decision per user",
              static_cast<double>(plan_.size()),
              static_cast<double>(scenario_.users.size()));
      for (std::size_t n = 0; n < result_.users.size(); ++n) LeaveWithoutValue(n);
    } else {
      for (std::size_t n = 0; n < plan_.size(); ++n) EvaluateUser(n);
      for (std::size_t m = 0; m < granted_.size(); ++m) CheckServer(m);
    }
    SumUp();
    result_.feasible = result_.violations.empty();
    return std::move(result_);
  }

 private:
  struct Granted {
    double bandwidth_hz = 0.0;
    double tx_power_w = 0.0;
    double clock_hz = 0.0;
    int users = 0;
  };

  void Violate(std::string where, std::string rule, double value, double limit) {
    result_.violations.push_back({std::move(where), std::move(rule), value, limit});
  }
  void ViolateUser(std::size_t n, std::string rule, double value, double limit) {
    Violate("user " + scenario_.users[n].id, std::move(rule), value, limit);
  }
  void LeaveWithoutValue(std::size_t n) {
    const PhaseValues none{kNoValue, kNoValue, kNoValue, kNoValue};
    result_.users[n] = {none, none, kNoValue};
  }

  void EvaluateUser(std::size_t n) {
    const User& user = scenario_.users[n];
    const Decision& decision = plan_[n];
    if (!DecisionHasMeaning(n)) return LeaveWithoutValue(n);
    const Server& server = scenario_.servers[static_cast<std::size_t>(decision.server)];
    const double gain = GainOf(n, decision.server);
    if (!(gain > 0.0)) ViolateUser(n, "cannot reach server " + server.id, gain, 0.0);
    CheckUserLimits(n);

    const SplitProfile& table = scenario_.ProfileOf(user);
    const auto k = static_cast<std::size_t>(decision.local_layers);
    const double gain_over_noise = gain / scenario_.noise_density_w_per_hz;
    const double b = decision.bandwidth_hz;
    UserEvaluation& out = result_.users[n];
    const auto store = [&](double PhaseValues::*phase, std::string_view name, const Phase& value) {
      out.delay_s.*phase = value.delay_s;
      out.energy_j.*phase = value.energy_j;
      if (!std::isfinite(value.delay_s) || !std::isfinite(value.energy_j)) {
        ViolateUser(n, fmt::format("the {} phase never ends", name), value.delay_s, 0.0);
      }
    };
    store(&PhaseValues::local,
          "local",
          Train(table.local_flop[k], user.compute, decision.local_clock_hz));
    store(&PhaseValues::upload,
          "upload",
          Send(table.upload_bit[k], b, decision.tx_power_w, gain_over_noise));
    store(&PhaseValues::server,
          "server",
          Train(table.server_flop[k], server.compute, decision.server_clock_hz));
    store(&PhaseValues::download,
          "download",
          Send(table.download_bit[k], b, decision.server_tx_power_w, gain_over_noise));
    out.score = Score(scenario_.objective, table, decision, server);
  }

  // Does the decision name a server and a split, and are its amounts numbers >= 0? Without these
  // no formula applies.
  bool DecisionHasMeaning(std::size_t n) {
    const Decision& decision = plan_[n];
    const int servers = static_cast<int>(scenario_.servers.size());
    const int layers = scenario_.ProfileOf(scenario_.users[n]).layers();
    const std::size_t violations = result_.violations.size();
    if (decision.server < 0 || decision.server >= servers) {
      ViolateUser(n, "server must exist", decision.server, servers - 1);
    }
    if (decision.local_layers < 0 || decision.local_layers > layers) {
      ViolateUser(n, "local_layers must be in 0..L", decision.local_layers, layers);
    }
    const auto amount = [&](std::string_view name, double value) {
      if (!(value >= 0.0 && std::isfinite(value))) {
        ViolateUser(n, fmt::format("{} must be a number >= 0", name), value, 0.0);
      }
    };
    amount("local_clock_hz", decision.local_clock_hz);
    amount("tx_power_w", decision.tx_power_w);
    amount("bandwidth_hz", decision.bandwidth_hz);
    amount("server_tx_power_w", decision.server_tx_power_w);
    amount("server_clock_hz", decision.server_clock_hz);
    return result_.violations.size() == violations;
  }

  // The user's own limits; also adds what it is granted to its server's account.
  void CheckUserLimits(std::size_t n) {
    const User& user = scenario_.users[n];
    const Decision& decision = plan_[n];
    const SplitProfile& table = scenario_.ProfileOf(user);
    const double memory = table.local_memory_bytes[static_cast<std::size_t>(decision.local_layers)];
    if (memory > user.memory_bytes_max) {
      ViolateUser(n, "local_memory_bytes exceeds memory_bytes_max", memory, user.memory_bytes_max);
    }
    if (decision.local_layers == table.layers() && !scenario_.objective.all_local_allowed) {
      ViolateUser(n,
                  "local_layers must be below L: all_local_allowed is false",
                  decision.local_layers,
                  table.layers() - 1);
    }
    if (Exceeds(decision.local_clock_hz, user.compute.clock_hz_max)) {
      ViolateUser(n,
                  "local_clock_hz exceeds clock_hz_max",
                  decision.local_clock_hz,
                  user.compute.clock_hz_max);
    }
    if (Exceeds(decision.tx_power_w, user.tx_power_w_max)) {
      ViolateUser(n, "tx_power_w exceeds tx_power_w_max", decision.tx_power_w, user.tx_power_w_max);
    }
    Granted& granted = granted_[static_cast<std::size_t>(decision.server)];
    granted.bandwidth_hz += decision.bandwidth_hz;
    granted.tx_power_w += decision.server_tx_power_w;
    granted.clock_hz += decision.server_clock_hz;
    ++granted.users;
  }

  double GainOf(std::size_t n, int server) const {
    for (const Link& link : scenario_.links[n]) {
      if (link.server == server) return link.gain;
    }
    return 0.0;
  }

  // (3); with amounts >= 0 the sums hold the boxes of b, q and s too.
  void CheckServer(std::size_t m) {
    const Server& server = scenario_.servers[m];
    const Granted& granted = granted_[m];
    const auto within = [&](std::string_view name, double value, double limit) {
      if (Exceeds(value, limit)) {
        Violate("server " + server.id, fmt::format("{} granted exceeds it", name), value, limit);
      }
    };
    within("bandwidth_hz", granted.bandwidth_hz, server.bandwidth_hz);
    within("tx_power_w_max", granted.tx_power_w, server.tx_power_w_max);
    within("clock_hz_max", granted.clock_hz, server.compute.clock_hz_max);
    if (server.slots && granted.users > *server.slots) {
      Violate("server " + server.id, "users exceed slots", granted.users, *server.slots);
    }
  }

  // (4), (5), (7).
  void SumUp() {
    double users_part_s = 0.0;
    double servers_part_s = 0.0;
    const bool sum = scenario_.objective.delay == DelayMode::kSum;
    const auto join = [sum](double* total, double part) {
      *total = sum || !std::isfinite(part) ? *total + part : std::max(*total, part);
    };
    for (const UserEvaluation& user : result_.users) {
      join(&users_part_s, user.delay_s.local + user.delay_s.upload);
      join(&servers_part_s, user.delay_s.server + user.delay_s.download);
      result_.energy_j += user.energy_j.Sum();
      result_.score += user.score;
    }
    result_.delay_s = users_part_s + servers_part_s;
    result_.cost = scenario_.objective.delay_weight_per_s * result_.delay_s +
                   scenario_.objective.energy_weight_per_j * result_.energy_j;
    const double scr = result_.score / result_.cost;
    if (std::isfinite(scr)) {
      result_.scr = scr;
    } else if (result_.violations.empty()) {
      Violate("plan", "cost must be a number > 0", result_.cost, 0.0);
    }
  }

  const Scenario& scenario_;
  const Plan& plan_;
  std::vector<Granted> granted_;
  Evaluation result_;
};

}  // namespace

Evaluation Evaluate(const Scenario& scenario, const Plan& plan) {
  return Evaluator(scenario, plan).Run();
}

}  // namespace dashf
