// One CSV file of places: its columns by name, its rows checked one by one.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "scenario/places.h"

namespace dashf {

enum class PlaceRole { kSite, kUser };
// What a column may hold.
enum Meaning : std::size_t {
  kId,
  kName,
  kLatitude,
  kLongitude,
  kX,
  kY,
  kPower,
  kClock,
  kBandwidth,
  kSlots,
  kRadius,
  kMemory,
  kProfile,
  kMeanings
};

inline constexpr int kNoColumn = -1;

struct PlaceLayout {
  std::array<int, kMeanings> at;  // kNoColumn where there is no such column.
  bool degrees = false;
  std::vector<std::string> passed_over;

  bool Has(Meaning meaning) const { return at[meaning] != kNoColumn; }
};

struct PlaceRecord {
  double first = 0.0, second = 0.0;  // Latitude and longitude in degrees, or x and y in metres.
  Equipment equipment;
  std::size_t line = 0, id_column = 0;
};

struct PlaceTable {
  PlaceLayout layout;
  std::vector<PlaceRecord> records;
};

// All places of the file, or a sample of `sample` > 0 of them. As ReadPlaces().
Expected<PlaceTable> ReadPlaceTable(const std::string& path,
                                    PlaceRole role,
                                    std::size_t sample,
                                    const PlacesOptions& options);

}  // namespace dashf
