#include "replanning/mobility.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "scenario/csv.h"

namespace dashf::replanning {
namespace {

constexpr std::array<std::string_view, 4> kColumns = {"round", "user", "x_m", "y_m"};
constexpr double kRoundsMax = 1e6;
constexpr double kPlaceMaxM = 2e7;  // Half way round the Earth.

Position DrawPlace(const Area& area, Rng* rng) {
  const double x_m = rng->Uniform(area.low.x_m, area.high.x_m);
  return {x_m, rng->Uniform(area.low.y_m, area.high.y_m)};
}

// One user on its way.
class Walker {
 public:
  Walker(Position start, const Area& area, const Walk& walk, Rng rng)
      : at_(start), area_(area), walk_(walk), rng_(rng) {
    SetOut();
  }

  Position at() const { return at_; }

  void Go(double time_s) {
    for (;;) {
      const double x_m = target_.x_m - at_.x_m, y_m = target_.y_m - at_.y_m;
      const double left_m = std::hypot(x_m, y_m), way_m = speed_m_per_s_ * time_s;
      if (way_m < left_m) {
        at_ = {at_.x_m + x_m * way_m / left_m, at_.y_m + y_m * way_m / left_m};
        return;
      }
      if (IsPoint()) return;
      at_ = target_;
      time_s -= left_m / speed_m_per_s_;
      SetOut();
    }
  }

 private:
  // An area without extent, where every way has the length 0.
  bool IsPoint() const {
    return !(area_.high.x_m > area_.low.x_m) && !(area_.high.y_m > area_.low.y_m);
  }
  void SetOut() {
    target_ = DrawPlace(area_, &rng_);
    speed_m_per_s_ = rng_.Uniform(walk_.speed_m_per_s_min, walk_.speed_m_per_s_max);
  }

  Position at_, target_;
  double speed_m_per_s_ = 0.0;
  const Area& area_;
  const Walk& walk_;
  Rng rng_;
};

class TraceReader {
 public:
  explicit TraceReader(CsvReader reader) : reader_(std::move(reader)) {}

  Expected<void> ReadHeader() {
    CsvRow header;
    const auto more = reader_.Next(&header);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return Fail(ErrorKind::kBadInput, reader_.path(), "must have a header, is empty");
    for (std::size_t column = 0; column < kColumns.size(); ++column) {
      const auto found = std::ranges::find(header, kColumns[column], &CsvField::text);
      if (found == header.end()) {
        return Fail(ErrorKind::kBadInput,
                    reader_.Place(header.front()),
                    fmt::format("the header must have the columns {}, has no \"{}\"",
                                fmt::join(kColumns, ", "),
                                kColumns[column]));
      }
      at_[column] = static_cast<std::size_t>(found - header.begin());
    }
    fields_ = header.size();
    return {};
  }

  // False at the end.
  Expected<bool> Next(Trace::Row* row) {
    CsvRow fields;
    const auto more = reader_.Next(&fields);
    if (!more || !*more) return more;
    if (fields.size() != fields_) {
      return Fail(
          ErrorKind::kBadInput,
          reader_.Place(fields.front()),
          fmt::format("must have {} fields as the header has, has {}", fields_, fields.size()));
    }
    const auto round = reader_.Number(fields[at_[0]]);
    const auto x_m = reader_.Number(fields[at_[2]]), y_m = reader_.Number(fields[at_[3]]);
    for (const auto* number : {&round, &x_m, &y_m}) {
      if (!*number) return tl::unexpected(number->error());
    }
    if (!(*round >= 1.0 && *round <= kRoundsMax && *round == std::floor(*round))) {
      return Fail(ErrorKind::kBadInput,
                  reader_.Place(fields[at_[0]]),
                  fmt::format("a round must be a whole number from 1 to {}, got {}",
                              kRoundsMax,
                              fields[at_[0]].text));
    }
    for (const std::size_t axis : {2U, 3U}) {
      const double place_m = axis == 2 ? *x_m : *y_m;
      if (std::abs(place_m) <= kPlaceMaxM) continue;
      return Fail(ErrorKind::kBadInput,
                  reader_.Place(fields[at_[axis]]),
                  fmt::format("{} must be from {:g} to {:g} m, got {}",
                              kColumns[axis],
                              -kPlaceMaxM,
                              kPlaceMaxM,
                              fields[at_[axis]].text));
    }
    *row = {static_cast<int>(*round),
            fields[at_[1]].text,
            {*x_m, *y_m},
            fmt::format("{}:{}", reader_.path(), fields.front().line)};
    return true;
  }

 private:
  CsvReader reader_;
  std::array<std::size_t, kColumns.size()> at_{};
  std::size_t fields_ = 0;
};

}  // namespace

Area AreaAround(const Scenario& scenario) {
  Area area{scenario.users.front().position_m, scenario.users.front().position_m};
  const auto hold = [&area](const Position& place) {
    area.low = {std::min(area.low.x_m, place.x_m), std::min(area.low.y_m, place.y_m)};
    area.high = {std::max(area.high.x_m, place.x_m), std::max(area.high.y_m, place.y_m)};
  };
  for (const User& user : scenario.users) hold(user.position_m);
  for (const Server& server : scenario.servers) hold(server.position_m);
  return area;
}

Paths RandomWaypoint(const std::vector<Position>& start,
                     const Area& area,
                     const Walk& walk,
                     int rounds,
                     const Rng& rng) {
  Paths paths(static_cast<std::size_t>(rounds), start);
  if (!walk.moves()) return paths;
  for (std::size_t n = 0; n < start.size(); ++n) {
    Walker walker(start[n], area, walk, rng.Stream(n));
    for (std::size_t round = 1; round < paths.size(); ++round) {
      walker.Go(walk.round_s);
      paths[round][n] = walker.at();
    }
  }
  return paths;
}

Expected<Trace> ReadTrace(const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  auto opened = CsvReader::Open(path);
  if (!opened) return tl::unexpected(opened.error());
  TraceReader reader(std::move(*opened));
  if (auto header = reader.ReadHeader(); !header) return tl::unexpected(header.error());
  Trace trace{path, Sha256Hex(*bytes), {}};
  for (Trace::Row row;;) {
    const auto more = reader.Next(&row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return trace;
    trace.rows.push_back(row);
  }
}

Expected<Paths> PathsOf(const Trace& trace, const Scenario& scenario, int rounds) {
  std::unordered_map<std::string_view, std::size_t> index;
  for (const User& user : scenario.users) index.emplace(user.id, index.size());
  const std::size_t users = scenario.users.size(), count = static_cast<std::size_t>(rounds);
  Paths paths(count, std::vector<Position>(users));
  std::vector<std::vector<const Trace::Row*>> from(count,
                                                   std::vector<const Trace::Row*>(users, nullptr));
  for (const Trace::Row& row : trace.rows) {
    const auto user = index.find(row.user);
    if (user == index.end()) {
      return Fail(ErrorKind::kBadInput,
                  row.place,
                  fmt::format("the scenario has no user \"{}\"; its users are {}{}",
                              row.user,
                              scenario.users.front().id,
                              users > 1 ? " to " + scenario.users.back().id : ""));
    }
    if (row.round > rounds) continue;
    const auto round = static_cast<std::size_t>(row.round) - 1;
    const Trace::Row*& first = from[round][user->second];
    if (first != nullptr) {
      return Fail(
          ErrorKind::kBadInput,
          row.place,
          fmt::format(
              "user {} has a place in round {} already, at {}", row.user, row.round, first->place));
    }
    first = &row;
    paths[round][user->second] = row.position_m;
  }
  for (std::size_t round = 0; round < count; ++round) {
    for (std::size_t n = 0; n < users; ++n) {
      if (from[round][n] != nullptr) continue;
      // Where the gap begins: the user's last row before it.
      const Trace::Row* last = round > 0 ? from[round - 1][n] : nullptr;
      return Fail(ErrorKind::kBadInput,
                  last != nullptr ? last->place : trace.path,
                  fmt::format("user {} must have a place in every round up to {}, has none in "
                              "round {}",
                              scenario.users[n].id,
                              rounds,
                              round + 1));
    }
  }
  return paths;
}

}  // namespace dashf::replanning
