#include "replanning/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/rng.h"
#include "scenario/link_drawing.h"
#include "scenario/slot_matching.h"

namespace dashf::replanning {
namespace {

Expected<void> CheckChurn(const Churn& churn, const char* away, const char* back) {
  for (const auto& [flag, value] : {std::pair(away, churn.away), std::pair(back, churn.back)}) {
    if (!(value >= 0.0 && value <= 1.0)) {
      return Fail(ErrorKind::kUsage, flag, fmt::format("must be in [0, 1], got {}", value));
    }
  }
  if (churn.away > 0.0 && churn.back == 0.0) {
    return Fail(ErrorKind::kUsage,
                back,
                fmt::format("must be > 0 with {} {}: nobody would be left", away, churn.away));
  }
  return {};
}

// Per round, per node.
std::vector<std::vector<bool>> DrawPresence(const Churn& churn,
                                            std::size_t nodes,
                                            int rounds,
                                            const Rng& rng) {
  std::vector<std::vector<bool>> there(static_cast<std::size_t>(rounds),
                                       std::vector<bool>(nodes, true));
  if (churn.away == 0.0) return there;
  for (std::size_t n = 0; n < nodes; ++n) {
    Rng stream = rng.Stream(n);
    there[0][n] = stream.Uniform() < churn.back / (churn.away + churn.back);
    for (std::size_t round = 1; round < there.size(); ++round) {
      const double change = stream.Uniform();
      there[round][n] = there[round - 1][n] ? !(change < churn.away) : change < churn.back;
    }
  }
  return there;
}

std::vector<std::vector<double>> DrawParts(double spread,
                                           std::size_t users,
                                           int rounds,
                                           const Rng& rng) {
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(rounds),
                                         std::vector<double>(users, 1.0));
  if (spread == 0.0) return parts;
  for (std::size_t n = 0; n < users; ++n) {
    Rng stream = rng.Stream(n);
    for (std::vector<double>& round : parts) round[n] = stream.Uniform(1.0 - spread, 1.0 + spread);
  }
  return parts;
}

// Leaves out the users whom a largest matching of users to slots does not take.
void LeaveOutUnmatched(Scenario* scenario) {
  const std::vector<int> server = MatchSlots(*scenario).server_of_user;
  std::size_t kept = 0;
  for (std::size_t n = 0; n < server.size(); ++n) {
    if (server[n] < 0) continue;
    if (kept != n) {
      scenario->users[kept] = std::move(scenario->users[n]);
      scenario->profiles[kept] = std::move(scenario->profiles[n]);
      scenario->links[kept] = std::move(scenario->links[n]);
    }
    scenario->users[kept].profile = static_cast<int>(kept);
    ++kept;
  }
  scenario->users.resize(kept);
  scenario->profiles.resize(kept);
  scenario->links.resize(kept);
}

}  // namespace

Expected<void> WorldSettings::Validate() const {
  const auto refuse = [](const char* flag, std::string rule) {
    return Fail(ErrorKind::kUsage, flag, std::move(rule));
  };
  if (rounds < 1) return refuse("--rounds", fmt::format("must be at least 1, got {}", rounds));
  if (!(data_spread >= 0.0 && data_spread < 1.0)) {
    return refuse("--data-spread", fmt::format("must be in [0, 1), got {}", data_spread));
  }
  const double low = walk.speed_m_per_s_min, high = walk.speed_m_per_s_max;
  if (!(walk.round_s > 0.0 && std::isfinite(walk.round_s))) {
    return refuse("--round-s", fmt::format("must be a number > 0, got {}", walk.round_s));
  }
  if (!(low >= 0.0 && high >= low && std::isfinite(high))) {
    return refuse(
        "--speed-max-m-per-s",
        fmt::format("must be a number >= --speed-min-m-per-s >= 0, got {} and {}", high, low));
  }
  if (walk.moves() && low == 0.0) {
    return refuse("--speed-min-m-per-s",
                  "must be > 0, or 0 with --speed-max-m-per-s 0: users who draw nearly 0 would in "
                  "the long run stand still for good");
  }
  if (auto sound = CheckChurn(users, "--leave", "--join"); !sound) return sound;
  return CheckChurn(servers, "--fail", "--repair");
}

nlohmann::ordered_json WorldSettings::Json() const {
  sweep::Design of_study;
  of_study.fixed = study;
  nlohmann::ordered_json json = of_study.Settings();
  for (const char* of_sweeps : {"methods", "time_limit_s", "varied"}) json.erase(of_sweeps);
  json["rounds"] = rounds;
  json["round_s"] = walk.round_s;
  json["speed_m_per_s"] = {walk.speed_m_per_s_min, walk.speed_m_per_s_max};
  json["trace_sha256"] = trace ? nlohmann::ordered_json(trace->sha256) : nlohmann::ordered_json();
  json["fading_anew"] = fading_anew;
  json["data_spread"] = data_spread;
  json["leave"] = users.away;
  json["join"] = users.back;
  json["fail"] = servers.away;
  json["repair"] = servers.back;
  return json;
}

Expected<World> World::Make(const WorldSettings& settings, std::uint64_t seed) {
  auto base = sweep::Generate(settings.study, seed);
  if (!base) return tl::unexpected(base.error());
  World world(settings, seed, std::move(*base));
  const Rng rng = Rng(seed).Stream("rounds");
  const Scenario& scenario = world.base_;
  const std::size_t users = scenario.users.size(), servers = scenario.servers.size();
  if (settings.trace) {
    auto paths = PathsOf(*settings.trace, scenario, settings.rounds);
    if (!paths) return tl::unexpected(paths.error());
    world.paths_ = std::move(*paths);
  } else {
    std::vector<Position> start;
    for (const User& user : scenario.users) start.push_back(user.position_m);
    const double side_m = settings.study.options.area_side_m;
    world.paths_ = RandomWaypoint(
        start, {{0.0, 0.0}, {side_m, side_m}}, settings.walk, settings.rounds, rng.Stream("ways"));
  }
  const int rounds = settings.rounds;
  world.user_there_ = DrawPresence(settings.users, users, rounds, rng.Stream("users"));
  world.server_there_ = DrawPresence(settings.servers, servers, rounds, rng.Stream("servers"));
  world.part_ = DrawParts(settings.data_spread, users, rounds, rng.Stream("data"));
  return world;
}

// Drawn for all servers, so that one that fails changes no other link.
std::vector<Link> World::LinksOf(std::size_t user, int round) const {
  const auto at = static_cast<std::size_t>(round);
  Geography places{.users = paths_[at], .servers = {}};
  for (const Server& server : base_.servers) places.servers.push_back(server.position_m);
  const Rng first(seed_);  // Which the scenario's own links were drawn from.
  const Rng rng = settings_.fading_anew && round > 0
                      ? first.Stream("rounds").Stream("fading").Stream(at)
                      : first;
  std::vector<Link> links =
      DrawLinks(places, settings_.study.options, user, base_.servers.size(), rng);
  std::erase_if(links, [&](const Link& link) {
    return !server_there_[at][static_cast<std::size_t>(link.server)];
  });
  const auto most = static_cast<std::size_t>(
      settings_.study.candidates.value_or(static_cast<int>(base_.servers.size())));
  if (links.size() > most) {
    std::ranges::nth_element(links,
                             links.begin() + static_cast<std::ptrdiff_t>(most),
                             std::ranges::greater(),
                             &Link::gain);
    links.resize(most);
    std::ranges::sort(links, {}, &Link::server);
  }
  return links;
}

WorldRound World::At(int round) const {
  const auto at = static_cast<std::size_t>(round);
  Scenario scenario;
  scenario.name = fmt::format("{}, round {}", base_.name, round + 1);
  scenario.objective = base_.objective;
  scenario.noise_density_w_per_hz = base_.noise_density_w_per_hz;
  std::map<std::string, double> data_part;
  std::vector<int> server_now(base_.servers.size(), -1);
  for (std::size_t m = 0; m < base_.servers.size(); ++m) {
    if (!server_there_[at][m]) continue;
    server_now[m] = static_cast<int>(scenario.servers.size());
    scenario.servers.push_back(base_.servers[m]);
  }
  for (std::size_t n = 0; n < base_.users.size(); ++n) {
    if (!user_there_[at][n]) continue;
    User user = base_.users[n];
    user.position_m = paths_[at][n];
    user.profile = static_cast<int>(scenario.users.size());
    scenario.profiles.push_back(WithPartOfData(base_.ProfileOf(base_.users[n]), part_[at][n]));
    data_part[user.id] = part_[at][n];
    scenario.users.push_back(std::move(user));
    std::vector<Link> links = LinksOf(n, round);
    for (Link& link : links) link.server = server_now[static_cast<std::size_t>(link.server)];
    scenario.links.push_back(std::move(links));
  }
  WorldRound now{static_cast<int>(scenario.users.size()),
                 static_cast<int>(scenario.servers.size()),
                 std::move(data_part),
                 {}};
  if (now.servers > 0) LeaveOutUnmatched(&scenario);
  if (now.servers > 0 && !scenario.users.empty()) now.scenario = std::move(scenario);
  return now;
}

// U[k] are the data, U[0], and the adapters of layers 1..k. Where a table has fewer bits than its
// data, it sends something else in their place, taken to go along with them.
SplitProfile WithPartOfData(const SplitProfile& profile, double part) {
  SplitProfile now = profile;
  for (double& flop : now.local_flop) flop *= part;
  for (double& flop : now.server_flop) flop *= part;
  const double data_bit = profile.upload_bit.front();
  for (double& bit : now.upload_bit) {
    bit = bit >= data_bit ? bit + (part - 1.0) * data_bit : bit * part;
  }
  return now;
}

}  // namespace dashf::replanning
