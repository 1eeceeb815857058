#include "scenario/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>
#include <utility>

#include "scenario/far_places.h"
#include "scenario/place_table.h"

namespace dashf {
namespace {

constexpr double kEarthRadiusM = 6371008.8;  // Mean radius, IUGG.

// Degrees to metres around the common centroid. Longitudes are taken the short way around from the
// first place, so that the 180th meridian may run through.
void Project(PlaceTable* sites, PlaceTable* users) {
  constexpr double kRadian = std::numbers::pi / 180.0;
  const double first = sites->records.front().second;
  const double count = static_cast<double>(sites->records.size() + users->records.size());
  double latitude = 0.0, longitude = 0.0;
  for (PlaceTable* table : {sites, users}) {
    for (PlaceRecord& record : table->records) {
      const double around = record.second - first;
      if (std::abs(around) > 180.0) record.second -= std::copysign(360.0, around);
      latitude += record.first / count;
      longitude += record.second / count;
    }
  }
  for (PlaceTable* table : {sites, users}) {
    for (PlaceRecord& record : table->records) {
      const double x_m =
          kEarthRadiusM * kRadian * (record.second - longitude) * std::cos(kRadian * latitude);
      const double y_m = kEarthRadiusM * kRadian * (record.first - latitude);
      record.first = x_m;
      record.second = y_m;
    }
  }
}

std::vector<Position> PositionsOf(const PlaceTable& table) {
  std::vector<Position> positions;
  for (const PlaceRecord& record : table.records)
    positions.push_back({record.first, record.second});
  return positions;
}

bool StatesEquipment(const PlaceLayout& layout) {
  constexpr Meaning kPlaces[] = {kLatitude, kLongitude, kX, kY};
  for (std::size_t meaning = 0; meaning < kMeanings; ++meaning) {
    const bool place =
        std::find(std::begin(kPlaces), std::end(kPlaces), meaning) != std::end(kPlaces);
    if (!place && layout.at[meaning] != kNoColumn) return true;
  }
  return false;
}

std::vector<Equipment> EquipmentOf(PlaceTable* table) {
  std::vector<Equipment> all;
  if (!StatesEquipment(table->layout)) return all;
  for (PlaceRecord& record : table->records) all.push_back(std::move(record.equipment));
  return all;
}

void RemarkPassedOver(const std::string& path,
                      const PlaceLayout& layout,
                      std::vector<std::string>* to) {
  if (layout.passed_over.empty()) return;
  to->push_back(
      fmt::format("{}: columns passed over: {}", path, fmt::join(layout.passed_over, ", ")));
}

void RemarkFar(const std::string& path,
               const PlaceTable& table,
               const std::vector<std::size_t>& far,
               double radius_m,
               std::string_view from,
               std::vector<std::string>* to) {
  constexpr std::size_t kNamedMax = 5;
  if (far.empty()) return;
  std::string named;
  for (std::size_t i = 0; i < std::min(far.size(), kNamedMax); ++i) {
    const PlaceRecord& record = table.records[far[i]];
    named += fmt::format("{}line {}{}",
                         i == 0 ? "" : ", ",
                         record.line,
                         record.equipment.id.empty() ? "" : " (" + record.equipment.id + ")");
  }
  if (far.size() > kNamedMax) named += fmt::format(" and {} more", far.size() - kNamedMax);
  to->push_back(
      fmt::format("{}: more than {:g} km from {}: {}", path, radius_m / 1e3, from, named));
}

}  // namespace

Expected<Places> ReadPlaces(const std::string& sites_path,
                            const std::string& users_path,
                            const PlacesOptions& options) {
  auto sites = ReadPlaceTable(sites_path, PlaceRole::kSite, options.sites_sample, options);
  if (!sites) return tl::unexpected(sites.error());
  auto users = ReadPlaceTable(users_path, PlaceRole::kUser, options.users_sample, options);
  if (!users) return tl::unexpected(users.error());
  if (sites->layout.degrees != users->layout.degrees) {
    return Fail(ErrorKind::kBadInput,
                users_path,
                fmt::format("must have places in {} as {} has",
                            sites->layout.degrees ? "degrees" : "metres",
                            sites_path));
  }
  if (sites->layout.degrees) Project(&*sites, &*users);
  Places places{.geography = {.users = PositionsOf(*users), .servers = PositionsOf(*sites)}};
  const FarPlaces far = FindFarPlaces(places.geography.servers, places.geography.users);
  RemarkPassedOver(sites_path, sites->layout, &places.remarks);
  RemarkPassedOver(users_path, users->layout, &places.remarks);
  RemarkFar(sites_path, *sites, far.sites, far.radius_m, "every other site", &places.remarks);
  RemarkFar(users_path, *users, far.users, far.radius_m, "every site", &places.remarks);
  places.geography.server_equipment = EquipmentOf(&*sites);
  places.geography.user_equipment = EquipmentOf(&*users);
  return places;
}

}  // namespace dashf
