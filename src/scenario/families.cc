#include "scenario/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "scenario/slot_matching.h"

namespace dashf {
namespace {

// Geography. `side_m` is that of the square.
constexpr double kServersPerCluster = 5.0;  // Of the Thomas process: mean offspring.
constexpr double kClusterSpread = 0.03;     // Standard deviation, of the side.
constexpr double kRoadWidthM = 30.0;
constexpr double kHotShare = 0.8;         // Of the users, in the hot spots.
constexpr double kServersPerHotSpot = 8;  // On average.
constexpr double kHotSpotRadiusM = 30.0;
constexpr double kWideSideMMin = 10e3, kWideSideMMax = 100e3;

// Slots.
constexpr double kTightSpare = 0.05;  // Of the users.
constexpr int kServersPerClosed = 3;  // One in so many has no slots.

// Devices, data and tables.
constexpr double kUnequal = 1000.0;       // Largest over smallest.
constexpr double kConcaveExponent = 0.5;  // Of the layers' share.
constexpr int kMemoryLayersMax = 4;       // That the memory-limited users hold at most.
constexpr double kUnequalTokensMin = 3e3, kUnequalTokensMax = 3e6;
constexpr double kBitPerToken = 32.0;

struct Request {
  int users = 0, servers = 0;
  std::optional<int> candidates;
  GeneratorOptions options;
  double side_m = 0.0;  // Of a square with as many servers per area as the study with two.
};

Position UniformIn(double width_m, double height_m, Rng* rng) {
  const double x_m = rng->Uniform(0.0, width_m);
  return {x_m, rng->Uniform(0.0, height_m)};
}

Position Around(const Position& centre, double deviation_m, Rng* rng) {
  const double x_m = centre.x_m + deviation_m * rng->Normal();
  return {x_m, centre.y_m + deviation_m * rng->Normal()};
}

// A Thomas process (Thomas, Biometrika 36, 1949) conditioned on the numbers of points: uniform
// parents, each point at a parent drawn at random, normally spread around it. Sites and users share
// the parents, as masts and people share towns.
Geography Clustered(const Request& request, const Rng& rng) {
  Rng parents = rng.Stream("parents");
  const int count = std::max(2, static_cast<int>(request.servers / kServersPerCluster));
  std::vector<Position> centres;
  for (int i = 0; i < count; ++i) {
    centres.push_back(UniformIn(request.side_m, request.side_m, &parents));
  }
  const auto draw = [&](int points, Rng stream) {
    std::vector<Position> places;
    for (int i = 0; i < points; ++i) {
      const Position& centre = centres[stream.Below(centres.size())];
      places.push_back(Around(centre, kClusterSpread * request.side_m, &stream));
    }
    return places;
  };
  return {.users = draw(request.users, rng.Stream("user placement")),
          .servers = draw(request.servers, rng.Stream("server placement"))};
}

// A road: sites at equal distances along it, each moved a little, and users anywhere on it.
Geography Corridor(const Request& request, const Rng& rng) {
  const double pitch_m = request.options.area_side_m / 2.0, length_m = pitch_m * request.servers;
  Rng users = rng.Stream("user placement"), servers = rng.Stream("server placement");
  Geography places;
  for (int n = 0; n < request.users; ++n) {
    places.users.push_back(UniformIn(length_m, kRoadWidthM, &users));
  }
  for (int m = 0; m < request.servers; ++m) {
    const double along = m + servers.Uniform(0.25, 0.75);
    places.servers.push_back({along * pitch_m, servers.Uniform(0.0, kRoadWidthM)});
  }
  return places;
}

// Sites anywhere; most users in a few small discs.
Geography HotSpots(const Request& request, const Rng& rng) {
  Rng users = rng.Stream("user placement"), servers = rng.Stream("server placement");
  Rng spots = rng.Stream("hot spots");
  Geography places;
  for (int m = 0; m < request.servers; ++m) {
    places.servers.push_back(UniformIn(request.side_m, request.side_m, &servers));
  }
  std::vector<Position> centres;
  const int count = std::max(1, static_cast<int>(request.servers / kServersPerHotSpot));
  for (int i = 0; i < count; ++i) {
    centres.push_back(UniformIn(request.side_m, request.side_m, &spots));
  }
  for (int n = 0; n < request.users; ++n) {
    Position place = UniformIn(request.side_m, request.side_m, &users);
    if (users.Uniform() < kHotShare) {
      const Position& centre = centres[users.Below(centres.size())];
      const double radius_m = kHotSpotRadiusM * std::sqrt(users.Uniform());
      const double angle = users.Uniform(0.0, 2.0 * std::numbers::pi);
      place = {centre.x_m + radius_m * std::cos(angle), centre.y_m + radius_m * std::sin(angle)};
    }
    places.users.push_back(place);
  }
  return places;
}

Expected<Scenario> Placed(const Request& request,
                          Geography (*place)(const Request&, const Rng&),
                          const Rng& rng) {
  return GenerateAt(
      place(request, rng), request.candidates.value_or(request.servers), request.options, rng);
}

Expected<Scenario> Uniform(const Request& request, const Rng& rng) {
  return GenerateStudy(request.users, request.servers, request.options, rng, request.candidates);
}

Expected<Scenario> SparseWide(const Request& request, const Rng& rng) {
  Request wide = request;
  Rng draw = rng.Stream("side");
  wide.options.area_side_m =
      kWideSideMMin * std::pow(kWideSideMMax / kWideSideMMin, draw.Uniform());
  return Uniform(wide, rng);
}

double Spread(Rng* rng) {
  return std::pow(kUnequal, rng->Uniform() - 0.5);
}

// A computer's clock times a factor, its full power with it.
void Scale(double factor, Compute* compute) {
  compute->clock_hz_max *= factor;
  compute->kappa_w_per_hz3 /= factor * factor;
}

Expected<Scenario> Unequal(const Request& request, const Rng& rng) {
  Request unequal = request;
  Rng tokens = rng.Stream("tokens");
  for (int n = 0; n < request.users; ++n) {
    const double drawn = std::round(
        kUnequalTokensMin * std::pow(kUnequalTokensMax / kUnequalTokensMin, tokens.Uniform()));
    unequal.options.data_sets.push_back({drawn, drawn * kBitPerToken});
  }
  auto scenario = Uniform(unequal, rng);
  if (!scenario) return scenario;
  Rng factors = rng.Stream("factors");
  for (Server& server : scenario->servers) {
    server.bandwidth_hz *= Spread(&factors);
    server.tx_power_w_max *= Spread(&factors);
    Scale(Spread(&factors), &server.compute);
  }
  for (User& user : scenario->users) {
    user.tx_power_w_max *= Spread(&factors);
    Scale(Spread(&factors), &user.compute);
  }
  return scenario;
}

// The same number of slots everywhere, one more at the first servers for what is left.
void ShareOutSlots(int slots, const std::vector<int>& servers, Scenario* scenario) {
  const int count = static_cast<int>(servers.size());
  for (int i = 0; i < count; ++i) {
    scenario->servers[static_cast<std::size_t>(servers[static_cast<std::size_t>(i)])].slots =
        slots / count + (i < slots % count ? 1 : 0);
  }
}

// As many slots as users and `spare` more, in equal parts; where links do not allow equal parts, as
// one matching of users to servers needs them.
void LimitSlots(int spare, Scenario* scenario) {
  const int users = static_cast<int>(scenario->users.size());
  const std::vector<int> matched = MatchSlots(*scenario).server_of_user;
  std::vector<int> all(scenario->servers.size());
  for (std::size_t m = 0; m < all.size(); ++m) all[m] = static_cast<int>(m);
  ShareOutSlots(users + spare, all, scenario);
  if (MatchSlots(*scenario).shortages.empty()) return;
  ShareOutSlots(spare, all, scenario);
  for (const int m : matched) ++*scenario->servers[static_cast<std::size_t>(m)].slots;
}

Expected<Scenario> SlotsExact(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (scenario) LimitSlots(0, &*scenario);
  return scenario;
}

Expected<Scenario> SlotsTight(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  const int spare = std::max(1, static_cast<int>(kTightSpare * request.users));
  if (scenario) LimitSlots(spare, &*scenario);
  return scenario;
}

// Closed servers among open ones, which have room for those who find no other.
Expected<Scenario> SlotsZero(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (!scenario) return scenario;
  const std::size_t servers = scenario->servers.size();
  std::vector<int> order = rng.Stream("closed").Permutation(static_cast<int>(servers));
  const std::size_t closed = std::max<std::size_t>(1, servers / kServersPerClosed);
  for (std::size_t i = 0; i < std::min(closed, servers - 1); ++i) {
    Server& server = scenario->servers[static_cast<std::size_t>(order[i])];
    const auto before = server.slots;
    server.slots = 0;
    // Users whose candidates are all closed keep this one open.
    for (Server& other : scenario->servers) {
      if (other.slots != 0) other.slots = request.users;
    }
    if (!MatchSlots(*scenario).shortages.empty()) server.slots = before;
  }
  return scenario;
}

Expected<Scenario> SlotsNone(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (!scenario) return scenario;
  for (Server& server : scenario->servers) server.slots.reset();
  return scenario;
}

// Every column of every table, between its ends, by `shape` of the layers' share in [0, 1].
Expected<Scenario> WithTables(const Request& request, const Rng& rng, double (*shape)(double)) {
  auto scenario = Uniform(request, rng);
  if (!scenario) return scenario;
  for (SplitProfile& table : scenario->profiles) {
    const int layers = table.layers();
    for (auto* column :
         {&table.local_flop, &table.server_flop, &table.upload_bit, &table.download_bit}) {
      // What a row that is not there must be 0 for is no end of the curve: all-local's.
      const double first = (*column)[0], last = (*column)[static_cast<std::size_t>(layers - 1)];
      for (int k = 1; k + 1 < layers; ++k) {
        const double share = shape(static_cast<double>(k) / (layers - 1));
        (*column)[static_cast<std::size_t>(k)] = first + share * (last - first);
      }
    }
  }
  return scenario;
}

Expected<Scenario> TablesAffine(const Request& request, const Rng& rng) {
  return WithTables(request, rng, [](double share) { return share; });
}

Expected<Scenario> TablesConcave(const Request& request, const Rng& rng) {
  return WithTables(request, rng, [](double share) { return std::pow(share, kConcaveExponent); });
}

Expected<Scenario> MemoryLimited(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (!scenario) return scenario;
  Rng memory = rng.Stream("memory");
  for (User& user : scenario->users) {
    const SplitProfile& table = scenario->ProfileOf(user);
    const auto layers =
        memory.Below(static_cast<std::uint64_t>(1 + std::min(kMemoryLayersMax, table.layers())));
    user.memory_bytes_max = std::max(1.0, table.local_memory_bytes[layers]);
  }
  return scenario;
}

Expected<Scenario> AllLocal(const Request& request, const Rng& rng) {
  Request allowed = request;
  allowed.options.all_local_allowed = true;
  auto scenario = Uniform(allowed, rng);
  if (!scenario) return scenario;
  for (User& user : scenario->users) {
    user.memory_bytes_max =
        std::max(user.memory_bytes_max, scenario->ProfileOf(user).local_memory_bytes.back());
  }
  return scenario;
}

Expected<Scenario> EnergyOnly(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (scenario) scenario->objective.delay_weight_per_s = 0.0;
  return scenario;
}

Expected<Scenario> DelayOnly(const Request& request, const Rng& rng) {
  auto scenario = Uniform(request, rng);
  if (scenario) scenario->objective.energy_weight_per_j = 0.0;
  return scenario;
}

struct Recipe {
  Family family;
  Expected<Scenario> (*make)(const Request&, const Rng&);
};

constexpr std::array kRecipes = {
    Recipe{{"uniform", "the default study: everyone anywhere in a square"}, Uniform},
    Recipe{{"clustered", "sites and users around common centres (Thomas process)"},
           [](const Request& request, const Rng& rng) { return Placed(request, Clustered, rng); }},
    Recipe{{"corridor", "sites along a road, users on it"},
           [](const Request& request, const Rng& rng) { return Placed(request, Corridor, rng); }},
    Recipe{{"hot-spots", "sites anywhere, four users of five in a few small discs"},
           [](const Request& request, const Rng& rng) { return Placed(request, HotSpots, rng); }},
    Recipe{{"sparse-wide", "a square of 10 to 100 km"}, SparseWide},
    Recipe{{"unequal", "capacities, devices and data that differ by up to 1,000"}, Unequal},
    Recipe{{"slots-exact", "as many slots as users"}, SlotsExact},
    Recipe{{"slots-tight", "one slot in twenty to spare"}, SlotsTight},
    Recipe{{"slots-zero", "one server in three admits nobody"}, SlotsZero},
    Recipe{{"slots-none", "no limit of slots"}, SlotsNone},
    Recipe{{"tables-affine", "split tables that are affine in k"}, TablesAffine},
    Recipe{{"tables-concave", "split tables that are concave in k"}, TablesConcave},
    Recipe{{"memory-limited", "users who hold at most four layers"}, MemoryLimited},
    Recipe{{"all-local", "users may train every layer"}, AllLocal},
    Recipe{{"energy-only", "delay costs nothing"}, EnergyOnly},
    Recipe{{"delay-only", "energy costs nothing"}, DelayOnly},
};

constexpr auto kFamilies = [] {
  std::array<Family, kRecipes.size()> families;
  for (std::size_t i = 0; i < families.size(); ++i) families[i] = kRecipes[i].family;
  return families;
}();

}  // namespace

std::span<const Family> Families() {
  return kFamilies;
}

Expected<Scenario> GenerateFamily(std::string_view name,
                                  int users,
                                  int servers,
                                  const GeneratorOptions& options,
                                  const Rng& rng,
                                  std::optional<int> candidates) {
  const auto recipe = std::find_if(kRecipes.begin(), kRecipes.end(), [name](const Recipe& one) {
    return one.family.name == name;
  });
  if (recipe == kRecipes.end()) {
    std::string names;
    for (const Family& family : kFamilies) names += fmt::format(" {}", family.name);
    return Fail(ErrorKind::kUsage,
                "family",
                fmt::format("there is no family \"{}\"; there are{}", name, names));
  }
  const Request request{users,
                        servers,
                        candidates,
                        options,
                        options.area_side_m * std::sqrt(std::max(1, servers) / 2.0)};
  auto scenario = recipe->make(request, rng);
  if (!scenario) return scenario;
  if (recipe != kRecipes.begin()) scenario->name = fmt::format("{}, {}", options.name, name);
  if (const auto valid = Validate(*scenario); !valid) return tl::unexpected(valid.error());
  return scenario;
}

}  // namespace dashf
