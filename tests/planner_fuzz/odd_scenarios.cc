#include "odd_scenarios.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "solvers/testing.h"

namespace dashf::planner_fuzz {
namespace {

// 10 to a power that is uniform between these.
double Decades(double low, double high, Rng* rng) {
  return std::pow(10.0, rng->Uniform(low, high));
}

bool OneIn(std::uint64_t count, Rng* rng) {
  return rng->Below(count) == 0;
}

void AnyGains(Scenario* scenario, Rng* rng) {
  const double low = rng->Uniform(-20.0, 0.0), high = rng->Uniform(low, 0.0);
  const bool equal = OneIn(4, rng);
  const double same = Decades(low, high, rng);
  for (auto& links : scenario->links) {
    for (Link& link : links) link.gain = equal ? same : Decades(low, high, rng);
  }
}

// The clock and the power at full clock are drawn apart, so that energies stay numbers.
void AnyClock(double low, double high, Compute* compute, Rng* rng) {
  compute->clock_hz_max = Decades(low, high, rng);
  compute->flop_per_cycle = Decades(0.0, 4.0, rng);
  const double clock = compute->clock_hz_max;
  compute->kappa_w_per_hz3 =
      OneIn(4, rng) ? 0.0 : Decades(-3.0, 4.0, rng) / (clock * clock * clock);
}

void AnyClocks(Scenario* scenario, Rng* rng) {
  const double low = rng->Uniform(2.0, 5.0), high = low + 9.0;
  const auto of = rng->Below(3);
  if (of != 0) {
    for (User& user : scenario->users) AnyClock(low, high, &user.compute, rng);
  }
  if (of != 1) {
    for (Server& server : scenario->servers) AnyClock(low, high, &server.compute, rng);
  }
}

void AnyRadio(Scenario* scenario, Rng* rng) {
  for (Server& server : scenario->servers) {
    server.bandwidth_hz = Decades(1.0, 10.0, rng);
    server.tx_power_w_max = Decades(-6.0, 4.0, rng);
  }
  for (User& user : scenario->users) user.tx_power_w_max = Decades(-6.0, 2.0, rng);
  if (OneIn(3, rng)) scenario->noise_density_w_per_hz = Decades(-24.0, -14.0, rng);
}

void AnySlots(Scenario* scenario, Rng* rng) {
  const std::uint64_t users = scenario->users.size(), servers = scenario->servers.size();
  const bool exact = OneIn(3, rng);
  for (Server& server : scenario->servers) {
    server.slots =
        static_cast<int>(exact ? (users + servers - 1) / servers : rng->Below(users + 2));
    if (!exact && OneIn(4, rng)) server.slots.reset();
    if (!exact && OneIn(6, rng)) server.slots = 1000000000;
  }
}

void AnyWeights(Scenario* scenario, Rng* rng) {
  Objective& objective = scenario->objective;
  switch (rng->Below(4)) {
    case 0:
      objective.delay_weight_per_s = 0.0;
      break;
    case 1:
      objective.energy_weight_per_j = 0.0;
      break;
    default:
      objective.delay_weight_per_s *= Decades(-8.0, 8.0, rng);
      objective.energy_weight_per_j *= Decades(-8.0, 8.0, rng);
  }
}

void AnyScore(Scenario* scenario, Rng* rng) {
  scenario->objective.score_gain *= Decades(-8.0, 8.0, rng);
  scenario->objective.score_scale *= Decades(-6.0, 6.0, rng);
}

// Columns of nothing, single rows of nothing, and amounts of work far from the study's.
void AnyTables(Scenario* scenario, Rng* rng) {
  const double work = OneIn(2, rng) ? Decades(-9.0, 4.0, rng) : 1.0;
  const double bits = OneIn(2, rng) ? Decades(-8.0, 4.0, rng) : 1.0;
  for (SplitProfile& table : scenario->profiles) {
    const std::array<std::vector<double>*, 4> columns = {
        &table.local_flop, &table.server_flop, &table.upload_bit, &table.download_bit};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const bool empty = OneIn(5, rng), holes = OneIn(5, rng);
      for (double& value : *columns[i]) {
        value *= empty || (holes && OneIn(2, rng)) ? 0.0 : (i < 2 ? work : bits);
        if (OneIn(12, rng)) value *= Decades(-3.0, 3.0, rng);
      }
    }
  }
}

void AnyMemory(Scenario* scenario, Rng* rng) {
  for (User& user : scenario->users) {
    const auto layers = static_cast<std::uint64_t>(scenario->ProfileOf(user).layers());
    user.memory_bytes_max = 1e9 * static_cast<double>(1 + rng->Below(layers + 1));
  }
}

// Users of whom one is like the other: nothing but their names tells their plans apart.
void Copies(Scenario* scenario, Rng* rng) {
  const std::size_t of = rng->Below(scenario->users.size());
  const User user = scenario->users[of];
  for (std::size_t n = 0; n < scenario->users.size(); ++n) {
    const std::string id = scenario->users[n].id;
    scenario->users[n] = user;
    scenario->users[n].id = id;
    scenario->links[n] = scenario->links[of];
  }
}

void FewLinks(Scenario* scenario, Rng* rng) {
  for (auto& links : scenario->links) {
    std::erase_if(links, [&](const Link&) { return links.size() > 1 && OneIn(2, rng); });
    if (links.empty()) links.push_back({0, 1e-10});
  }
}

void OneServerHardlyThere(Scenario* scenario, Rng* rng) {
  Server& server = scenario->servers[rng->Below(scenario->servers.size())];
  server.bandwidth_hz *= Decades(-10.0, 0.0, rng);
  server.tx_power_w_max *= Decades(-10.0, 0.0, rng);
  server.compute.clock_hz_max *= Decades(-9.0, 0.0, rng);
}

void EnergyPerOperation(Scenario* scenario, Rng* rng) {
  for (User& user : scenario->users) {
    user.compute.kappa_w_per_hz3 = 0.0;
    user.compute.energy_j_per_flop = OneIn(4, rng) ? 0.0 : Decades(-14.0, -8.0, rng);
  }
  for (Server& server : scenario->servers) {
    server.compute.kappa_w_per_hz3 = 0.0;
    server.compute.energy_j_per_flop = OneIn(4, rng) ? 0.0 : Decades(-14.0, -8.0, rng);
  }
}

constexpr std::array kOddities = {AnyGains,
                                  AnyClocks,
                                  AnyRadio,
                                  AnySlots,
                                  AnyWeights,
                                  AnyScore,
                                  AnyTables,
                                  AnyMemory,
                                  Copies,
                                  FewLinks,
                                  OneServerHardlyThere,
                                  EnergyPerOperation};

}  // namespace

Scenario OddScenario(std::uint64_t seed, bool small) {
  Rng rng = Rng(seed).Stream("odd scenario");
  const bool larger = !small && OneIn(12, &rng);
  const auto upto = [&](std::uint64_t most) { return static_cast<int>(1 + rng.Below(most)); };
  const std::uint64_t less = small ? 1 : 0;
  Scenario scenario = solvers::testing::RandomScenario(
      {.users = larger ? 3 + upto(4) : upto(4 - less),
       .servers = larger ? upto(4) : upto(3 - less),
       .layers = larger ? upto(5) : upto(3 - less),
       .delay = OneIn(2, &rng) ? DelayMode::kMakespan : DelayMode::kSum,
       .all_local_allowed = OneIn(3, &rng),
       .corners = OneIn(2, &rng)},
      rng.Stream("scenario"));
  const auto oddities = rng.Below(5);
  for (std::uint64_t i = 0; i < oddities; ++i) {
    kOddities[rng.Below(kOddities.size())](&scenario, &rng);
  }
  return scenario;
}

}  // namespace dashf::planner_fuzz
