// Across modules: no proven bound lies below any plan of any method, and no certificate that was
// tampered with is accepted where its claim is false.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "solvers/method.h"
#include "solvers/testing.h"

namespace dashf {
namespace {

using certificate::RaiseToProof;
using certificate::SafeUpperBound;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Case {
  Scenario scenario;
  Plan plan;  // The best that any method finds, the exhaustive oracle included.
  Evaluation best;
};

// One to three users, one to three servers, every corner of the model.
std::optional<Case> RandomCase(int seed) {
  Rng rng = Rng(static_cast<std::uint64_t>(seed)).Stream("certificates");
  Case made;
  made.scenario = solvers::testing::RandomScenario(
      {.users = 1 + static_cast<int>(rng.Below(3)),
       .servers = 1 + static_cast<int>(rng.Below(3)),
       .layers = 1 + static_cast<int>(rng.Below(3)),
       .delay = seed % 2 == 0 ? DelayMode::kSum : DelayMode::kMakespan,
       .all_local_allowed = rng.Below(3) == 0,
       .corners = true},
      rng.Stream("scenario"));
  if (rng.Below(4) == 0) {  // Gains 1e-18 apart, which is also nothing.
    for (auto& links : made.scenario.links) {
      for (Link& link : links) link.gain = links.front().gain + 1e-18 * link.server;
    }
  }
  // Without a price on delay the slowest clocks cost nothing and SCR has no maximum.
  if (made.scenario.objective.delay_weight_per_s == 0.0) {
    made.scenario.objective.delay_weight_per_s = 1e-3;
  }
  // Nor has it one where a split costs nothing at all.
  for (SplitProfile& table : made.scenario.profiles) {
    if (table.server_flop[0] + table.upload_bit[0] + table.download_bit[0] == 0.0) {
      table.upload_bit[0] = 1e6;
    }
  }
  if (!Validate(made.scenario)) return std::nullopt;
  made.best.scr = -1.0;
  for (const solvers::Method& method : solvers::Methods()) {
    const auto solved = method.solve(
        made.scenario, {.seed = 1, .time_limit_s = 1.0, .gap_target = 0.1, .on_iteration = {}});
    if (!solved) continue;
    const Evaluation evaluation = Evaluate(made.scenario, solved->plan);
    if (!evaluation.feasible || evaluation.scr <= made.best.scr) continue;
    made.best = evaluation;
    made.plan = solved->plan;
  }
  if (made.plan.empty()) return std::nullopt;
  return made;
}

// What the plan's own users would pay: the derivative of score - scr cost along each resource, the
// largest over a server's users.
double MarginalValue(const Case& made, std::size_t m, double Decision::*resource) {
  double value = 0.0;
  for (std::size_t n = 0; n < made.plan.size(); ++n) {
    const double amount = made.plan[n].*resource;
    if (made.plan[n].server != static_cast<int>(m) || !(amount > 0.0)) continue;
    Plan less = made.plan;
    less[n].*resource = amount * (1.0 - 1e-6);
    const Evaluation evaluation = Evaluate(made.scenario, less);
    const double loss =
        made.best.score - evaluation.score - made.best.scr * (made.best.cost - evaluation.cost);
    value = std::max(value, loss / (amount * 1e-6));
  }
  return std::isfinite(value) ? value : 0.0;
}

// How wild the prices are: 1 leaves the marginal values as they are, `factor` is up to that either
// way.
std::vector<ServerPrices> Prices(const Case& made, double factor, Rng& rng) {
  const auto about = [&](double x) {
    return x * std::exp((2.0 * rng.Uniform() - 1.0) * std::log(factor));
  };
  std::vector<ServerPrices> prices;
  for (std::size_t m = 0; m < made.scenario.servers.size(); ++m) {
    prices.push_back({about(MarginalValue(made, m, &Decision::bandwidth_hz)),
                      about(MarginalValue(made, m, &Decision::server_tx_power_w)),
                      about(MarginalValue(made, m, &Decision::server_clock_hz)),
                      made.scenario.servers[m].slots ? factor * rng.Uniform() - 1.0 : 0.0});
    prices.back().slot = std::max(0.0, prices.back().slot);
  }
  return prices;
}

std::vector<double> Weights(const Case& made, bool above_delay_weight, Rng& rng) {
  std::vector<double> weights;
  double sum = 0.0;
  for (std::size_t n = 0; n < made.plan.size(); ++n) {
    weights.push_back(rng.Below(3) == 0 ? 0.0 : rng.Uniform());
    sum += weights.back();
  }
  const double total = made.scenario.objective.delay_weight_per_s *
                       (above_delay_weight ? 1.5 : rng.Uniform(0.5, 1.0 - 1e-9));
  for (double& weight : weights) weight *= sum > 0.0 ? total / sum : 0.0;
  return weights;
}

// A tree of random questions whose cases have prices about those of the server.
void AddTree(const Case& made, const ServerPrices& prices, int depth, Rng& rng, ServerCases* out) {
  const Scenario& scenario = made.scenario;
  const auto question = depth == 0 ? 0 : rng.Below(4);
  if (question == 0) {
    ServerPrices own = prices;
    for (double* price : {&own.bandwidth_per_hz, &own.power_per_w, &own.clock_per_hz}) {
      *price *= rng.Uniform(0.9, 1.2);
    }
    own.slot = rng.Uniform(-0.1, 0.1);
    out->nodes.emplace_back(own);
    return;
  }
  if (question == 1) {
    out->nodes.emplace_back(UsersMax{static_cast<int>(rng.Below(scenario.users.size() + 1))});
  } else {
    const auto user = rng.Below(scenario.users.size());
    const auto layers =
        static_cast<std::uint64_t>(scenario.ProfileOf(scenario.users[user]).layers());
    const auto low = rng.Below(layers + 1), high = low + rng.Below(layers + 1 - low);
    out->nodes.emplace_back(
        UserWithin{static_cast<int>(user), static_cast<int>(low), static_cast<int>(high)});
  }
  AddTree(made, prices, depth - 1, rng, out);
  AddTree(made, prices, depth - 1, rng, out);
}

// What serving a user is worth: about what it brings in the best plan after paying, or less. And
// some servers' cases.
void AddCases(const Case& made, DeadlineBox* box, Rng& rng) {
  const Objective& objective = made.scenario.objective;
  const bool sum = objective.delay == DelayMode::kSum;
  for (std::size_t n = 0; n < made.plan.size(); ++n) {
    const UserEvaluation& user = made.best.users[n];
    const Decision& decision = made.plan[n];
    const ServerPrices& prices = box->servers[static_cast<std::size_t>(decision.server)];
    const double w_u = sum ? objective.delay_weight_per_s : box->user_phase_weight_per_s[n];
    const double w_s = sum ? objective.delay_weight_per_s : box->server_phase_weight_per_s[n];
    const double cost =
        w_u * (user.delay_s.local + user.delay_s.upload) +
        w_s * (user.delay_s.server + user.delay_s.download) +
        objective.energy_weight_per_j * (user.energy_j.local + user.energy_j.upload +
                                         user.energy_j.server + user.energy_j.download);
    box->user_worth.push_back(user.score * rng.Uniform(0.7, 1.1) - made.best.scr * cost -
                              prices.bandwidth_per_hz * decision.bandwidth_hz -
                              prices.power_per_w * decision.server_tx_power_w -
                              prices.clock_per_hz * decision.server_clock_hz - prices.slot);
  }
  for (std::size_t m = 0; m < box->servers.size(); ++m) {
    if (rng.Below(4) == 0) continue;
    box->cases.push_back({static_cast<int>(m), {}});
    AddTree(made, box->servers[m], 3, rng, &box->cases.back());
  }
}

// A grid of deadline boxes around the plan's own phases.
Certificate RandomCertificate(const Case& made, double factor, Rng& rng) {
  Certificate certificate;
  certificate.scr_upper = std::max(1e-4, made.best.scr) * rng.Uniform(0.7, 1.3);
  if (made.scenario.objective.delay == DelayMode::kSum) {
    certificate.boxes = {{0.0, kInfinity, 0.0, kInfinity, Prices(made, factor, rng), {}, {}}};
    if (rng.Below(2) == 0) AddCases(made, &certificate.boxes.front(), rng);
    return certificate;
  }
  double user_s = 0.0;
  double server_s = 0.0;
  for (const UserEvaluation& user : made.best.users) {
    user_s = std::max(user_s, user.delay_s.local + user.delay_s.upload);
    server_s = std::max(server_s, user.delay_s.server + user.delay_s.download);
  }
  const auto cuts = [&](double around) {
    std::vector<double> ends = {0.0};
    for (const double at : {0.6, 0.97, 1.05, 2.0}) {
      if (around > 0.0 && rng.Below(2) == 0) ends.push_back(at * around);
    }
    ends.push_back(kInfinity);
    return ends;
  };
  const std::vector<double> users = cuts(user_s);
  const std::vector<double> servers = cuts(server_s);
  for (std::size_t i = 0; i + 1 < users.size(); ++i) {
    for (std::size_t j = 0; j + 1 < servers.size(); ++j) {
      certificate.boxes.push_back(
          {users[i],
           users[i + 1],
           servers[j],
           servers[j + 1],
           Prices(made, factor, rng),
           Weights(made, std::isfinite(users[i + 1]) && rng.Below(2) == 0, rng),
           Weights(made, std::isfinite(servers[j + 1]) && rng.Below(2) == 0, rng)});
      if (rng.Below(2) == 0) AddCases(made, &certificate.boxes.back(), rng);
    }
  }
  return certificate;
}

void Scale(std::vector<double>* numbers, double factor) {
  for (double& number : *numbers) number *= factor;
}

// The same with a tree of cases.
void TamperWithCases(const Case& made, DeadlineBox* box, Rng& rng) {
  ServerCases& cases = box->cases[rng.Below(box->cases.size())];
  if (cases.nodes.empty()) return;
  const auto at = cases.nodes.begin() + static_cast<std::ptrdiff_t>(rng.Below(cases.nodes.size()));
  const auto anyone = static_cast<int>(rng.Below(made.scenario.users.size() + 2)) - 1;
  switch (rng.Below(12)) {
    case 0:  // A case less.
      cases.nodes.erase(at);
      break;
    case 1:
      cases.nodes.resize(cases.nodes.size() / 2);
      break;
    case 2:
      cases.nodes.insert(at, *at);
      break;
    case 3:  // An answer taken for the other.
      std::reverse(at, cases.nodes.end());
      break;
    case 4:
      std::iter_swap(at, cases.nodes.begin());
      break;
    case 5:
      *at = UserWithin{anyone, 0, static_cast<int>(rng.Below(6))};
      break;
    case 6:
      *at = UsersMax{anyone};
      break;
    case 7:  // The same question without an end.
      cases.nodes.insert(at, rng.Below(2) == 0 ? kCaseDepthMax + 1 : 3, UsersMax{1});
      break;
    case 8:
      if (auto* prices = std::get_if<ServerPrices>(&*at)) {
        prices->slot = rng.Below(2) == 0 ? -1e300 : prices->slot - rng.Uniform();
      }
      break;
    case 9:
      cases.server = anyone;
      break;
    case 10:
      box->user_worth[rng.Below(box->user_worth.size())] *= rng.Uniform(-2.0, 2.0);
      break;
    default:
      if (rng.Below(2) == 0) {
        box->user_worth.clear();
      } else {
        box->user_worth.front() = rng.Below(2) == 0 ? std::nan("") : -1e300;
      }
      break;
  }
}

// Something that someone who wants a smaller bound might try.
void Tamper(const Case& made, Certificate* certificate, Rng& rng) {
  DeadlineBox& box = certificate->boxes[rng.Below(certificate->boxes.size())];
  if (!box.cases.empty() && rng.Below(2) == 0) return TamperWithCases(made, &box, rng);
  if (box.servers.empty()) return;
  ServerPrices& server = box.servers[rng.Below(box.servers.size())];
  double* const price[] = {
      &server.bandwidth_per_hz, &server.power_per_w, &server.clock_per_hz, &server.slot};
  double& number = *price[rng.Below(4)];
  switch (rng.Below(12)) {
    case 0:
      number *= rng.Uniform(0.0, 3.0);
      break;
    case 1:
      number = -number;
      break;
    case 2:
      number = 0.0;
      break;
    case 3:
      number = std::nan("");
      break;
    case 4:
      number = rng.Below(2) == 0 ? kInfinity : 1e300;
      break;
    case 5:
      std::swap(server, box.servers[rng.Below(box.servers.size())]);
      break;
    case 6:
      certificate->boxes.erase(certificate->boxes.begin());
      break;
    case 7:
      box.user_phase_s_min = box.user_phase_s_max * rng.Uniform();
      break;
    case 8:
      box.server_phase_s_max *= rng.Uniform();
      break;
    case 9:
      Scale(&box.user_phase_weight_per_s, rng.Uniform(0.0, 3.0));
      break;
    case 10:
      Scale(&box.server_phase_weight_per_s, rng.Uniform(-1.0, 1.0));
      break;
    default:
      box.servers.pop_back();
      break;
  }
}

TEST(Bound, LiesNeverBelowAPlanOfAnyMethod) {
  int proven = 0;
  int tight = 0;
  int tried = 0;
  for (int seed = 0; seed < 40; ++seed) {
    const auto made = RandomCase(seed);
    if (!made) continue;
    Rng rng = Rng(static_cast<std::uint64_t>(seed)).Stream("prices");
    for (const double factor : {1.0, 1.5, 10.0, 1e4}) {
      const auto raised = RaiseToProof(made->scenario, RandomCertificate(*made, factor, rng), 1);
      ++tried;
      if (!raised) continue;
      ++proven;
      if (raised->scr_upper <= 1.3 * made->best.scr) ++tight;
      EXPECT_GE(raised->scr_upper * (1.0 + 1e-12), made->best.scr) << seed << " " << factor;
    }
  }
  EXPECT_GT(proven, tried / 2);
  EXPECT_GT(tight, tried / 5);
}

// Its candidate is numeric; what the verifier makes of it must hold, and should be near the claim.
TEST(Bound, OfThePriceMethodIsProvenWithAndWithoutBranches) {
  int branches = 0, near = 0, tried = 0;
  for (int seed = 0; seed < 160; seed += 2) {  // The sum of delays.
    const auto made = RandomCase(seed);
    if (!made) continue;
    const auto solved = solvers::FindMethod("prices")->solve(
        made->scenario, {.gap_target = 0.0, .on_iteration = {}});
    ASSERT_TRUE(solved);
    if (!solved->certificate) continue;
    ++tried;
    branches += !solved->certificate->boxes.front().branches.empty();
    const auto raised = RaiseToProof(made->scenario, *solved->certificate, 1);
    ASSERT_TRUE(raised) << seed << raised.error().Text();
    EXPECT_GE(raised->scr_upper * (1.0 + 1e-12), made->best.scr) << seed;
    near += raised->scr_upper <= made->best.scr * (1.0 + 1e-4);
  }
  EXPECT_GT(branches, 0);
  EXPECT_LT(branches, tried);
  EXPECT_GT(near, tried * 8 / 10);
}

// What the price method hands out is a proof, its boxes cover every plan, and it says what it is
// worth.
TEST(Bound, ThatPricesFindWithTheMakespanIsProvenAndLiesNeverBelowAPlan) {
  int tight = 0;
  int tried = 0;
  for (int seed = 1; seed < 60; seed += 2) {
    const auto made = RandomCase(seed);
    if (!made) continue;
    const auto solved = solvers::FindMethod("prices")->solve(
        made->scenario, {.gap_target = 0.03, .wants_bound = true, .on_iteration = {}});
    ASSERT_TRUE(solved && solved->certificate) << seed;
    const auto raised = RaiseToProof(made->scenario, *solved->certificate, 1);
    ASSERT_TRUE(raised) << seed << ": " << raised.error().Text();
    EXPECT_GE(raised->scr_upper * (1.0 + 1e-12), made->best.scr) << seed;
    ++tried;
    if (raised->scr_upper * (1.0 - 0.05) <= made->best.scr) ++tight;
  }
  EXPECT_GT(tight, tried / 2);
}

// A row without a server phase ends it at once, and is charged for the box's lower end in full.
TEST(Bound, OfUsersThatMayStayLocalIsProvenAsFoundWithTheMakespan) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const Scenario scenario = solvers::testing::RandomScenario({.users = 3,
                                                                .servers = 2,
                                                                .layers = 4,
                                                                .delay = DelayMode::kMakespan,
                                                                .all_local_allowed = true},
                                                               Rng(seed));
    const auto solved = solvers::FindMethod("prices")->solve(
        scenario, {.gap_target = 0.03, .wants_bound = true, .on_iteration = {}});
    ASSERT_TRUE(solved && solved->certificate) << seed;
    const auto raised = RaiseToProof(scenario, *solved->certificate, 1);
    ASSERT_TRUE(raised) << seed << ": " << raised.error().Text();
    EXPECT_LE(raised->scr_upper, solved->certificate->scr_upper * (1.0 + 1e-4)) << seed;
  }
}

// Changes one thing about the box's branches.
void TamperWithBranches(DeadlineBox* box, Rng& rng) {
  std::vector<BranchNode>& nodes = box->branches;
  const auto i = rng.Below(nodes.size());
  BranchNode& node = nodes[i];
  const auto far = [&] { return std::exp(rng.Uniform(-3.0, 3.0)); };
  if (rng.Below(6) == 0) {
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i));
  } else if (rng.Below(6) == 0) {
    std::swap(node, nodes[rng.Below(nodes.size())]);
  } else if (auto* end = std::get_if<PhaseAtMost>(&node)) {
    end->end_s *= far();
    if (rng.Below(3) == 0) end->phase = 1 - end->phase;
  } else if (auto* on = std::get_if<UserOn>(&node)) {
    on->user += static_cast<int>(rng.Below(3)) - 1;
    on->server += static_cast<int>(rng.Below(3)) - 1;
    on->split_max += static_cast<int>(rng.Below(3)) - 1;
  } else {
    auto& bound = std::get<BranchBound>(node);
    if (rng.Below(3) == 0) bound.last = !bound.last;
    for (ServerPrices& server : bound.servers) {
      if (rng.Below(2) == 0) server.clock_per_hz *= far();
      if (rng.Below(2) == 0) server.bandwidth_per_hz *= far();
    }
    for (double& weight : bound.user_phase_weight_per_s) weight *= rng.Below(2) == 0 ? far() : 1.0;
  }
}

// Up to three users: branch and bound closes the gap, and nothing that was changed about its proof
// is taken for a proof of less.
TEST(Bound, OfBranchesIsTightAndRefusedWhereItsClaimIsFalse) {
  int tight = 0, tried = 0, refused = 0;
  for (int seed = 1; seed < 40; seed += 2) {
    const auto made = RandomCase(seed);
    if (!made) continue;
    const auto solved = solvers::FindMethod("prices")->solve(
        made->scenario, {.gap_target = 1e-3, .wants_bound = true, .on_iteration = {}});
    ASSERT_TRUE(solved && solved->certificate) << seed;
    EXPECT_GE(Evaluate(made->scenario, solved->plan).scr, made->best.scr * (1.0 - 1e-6)) << seed;
    const auto raised = RaiseToProof(made->scenario, *solved->certificate, 1);
    ASSERT_TRUE(raised) << seed << ": " << raised.error().Text();
    EXPECT_GE(raised->scr_upper * (1.0 + 1e-12), made->best.scr) << seed;
    ++tried;
    tight += raised->scr_upper * (1.0 - 2e-3) <= made->best.scr;
    Rng rng = Rng(static_cast<std::uint64_t>(seed)).Stream("branches");
    for (int i = 0; i < 10; ++i) {
      Certificate certificate = *raised;
      if (certificate.boxes.front().branches.empty()) break;
      certificate.scr_upper = made->best.scr * (i % 2 == 0 ? rng.Uniform(0.9, 1.0 - 1e-6) : 1.0);
      if (i % 3 > 0) TamperWithBranches(&certificate.boxes.front(), rng);
      const auto verdict = SafeUpperBound(made->scenario, certificate, 1);
      if (verdict && verdict->proven) {
        EXPECT_GE(certificate.scr_upper * (1.0 + 1e-12), made->best.scr) << seed << " " << i;
      } else {
        ++refused;
      }
    }
  }
  EXPECT_GT(tight, tried * 8 / 10);
  EXPECT_GT(refused, 40);
}

TEST(Bound, ThatWasTamperedWithIsRefusedWhereItsClaimIsFalse) {
  int accepted = 0;
  int refused = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const auto made = RandomCase(seed);
    if (!made) continue;
    Rng rng = Rng(static_cast<std::uint64_t>(seed)).Stream("tampering");
    const auto raised = RaiseToProof(made->scenario, RandomCertificate(*made, 1.2, rng), 1);
    if (!raised) continue;
    for (int i = 0; i < 60; ++i) {
      Certificate certificate = *raised;
      const double low = made->best.scr / raised->scr_upper;
      certificate.scr_upper *= rng.Below(3) == 0 ? 1.0 : rng.Uniform(0.5 * low, 1.1);
      const auto mutations = rng.Below(3);
      for (std::uint64_t j = 0; j < mutations && !certificate.boxes.empty(); ++j) {
        Tamper(*made, &certificate, rng);
      }
      const auto verdict = SafeUpperBound(made->scenario, certificate, 1);
      if (verdict && verdict->proven) {
        ++accepted;
        EXPECT_GE(certificate.scr_upper * (1.0 + 1e-12), made->best.scr) << seed << " " << i;
      } else {
        ++refused;
      }
    }
  }
  EXPECT_GT(accepted, 80);
  EXPECT_GT(refused, 280);
}

}  // namespace
}  // namespace dashf
