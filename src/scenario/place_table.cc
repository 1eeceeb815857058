#include "scenario/place_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/rng.h"
#include "scenario/csv.h"

namespace dashf {
namespace {

constexpr std::size_t kProgressLines = 1'000'000;
constexpr std::size_t kNameBytesMax = 200;
constexpr double kSlotsMax = 1e9;

struct Column {
  Meaning meaning;
  std::string_view name;
  bool of_sites, of_users;
};
constexpr Column kColumns[] = {{kId, "id", true, true},
                               {kId, "site_id", true, false},
                               {kId, "server_id", true, false},
                               {kId, "user_id", false, true},
                               {kName, "name", true, true},
                               {kLatitude, "latitude", true, true},
                               {kLatitude, "lat", true, true},
                               {kLongitude, "longitude", true, true},
                               {kLongitude, "lon", true, true},
                               {kLongitude, "lng", true, true},
                               {kX, "x_m", true, true},
                               {kY, "y_m", true, true},
                               {kPower, "tx_power_w", true, true},
                               {kPower, "tx_power_w_max", true, true},
                               {kClock, "clock_hz", true, true},
                               {kClock, "clock_hz_max", true, true},
                               {kBandwidth, "bandwidth_hz", true, false},
                               {kSlots, "slots", true, false},
                               {kRadius, "coverage_radius_m", true, false},
                               {kMemory, "memory_bytes", false, true},
                               {kMemory, "memory_bytes_max", false, true},
                               {kProfile, "profile", false, true}};

// A column that begins so and is none of the above holds what this program has in another unit or
// at another kind of place: passing it over would plan another network.
constexpr std::pair<std::string_view, std::string_view> kTelling[] = {
    {"bandwidth", "bandwidth_hz, of sites"},
    {"tx_power", "tx_power_w"},
    {"power", "tx_power_w"},
    {"clock", "clock_hz"},
    {"cpu", "clock_hz"},
    {"coverage", "coverage_radius_m, of sites"},
    {"radius", "coverage_radius_m, of sites"},
    {"slots", "slots, of sites"},
    {"memory", "memory_bytes, of users"},
    {"profile", "profile, of users"}};

std::string Normalised(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const bool joins = c == ' ' || c == '-';
    text += joins ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

// Well-formed UTF-8 without control characters (Unicode 15, table 3-7).
bool IsPrintable(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i), next = byte(i + 1);
    if (lead < 0x20 || lead == 0x7f) return false;
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0u) != 0x80u) return false;
    }
    if ((lead == 0xe0 && next < 0xa0) || (lead == 0xed && next > 0x9f) ||
        (lead == 0xf0 && next < 0x90) || (lead == 0xf4 && next > 0x8f) ||
        (lead == 0xc2 && next < 0xa0)) {
      return false;
    }
    i += length;
  }
  return true;
}

class TableReader {
 public:
  TableReader(CsvReader reader, PlaceRole role, std::size_t sample, const PlacesOptions& options)
      : reader_(std::move(reader)), role_(role), sample_(sample), options_(options) {}

  Expected<PlaceTable> Read();

 private:
  Expected<void> ReadHeader();
  Expected<void> CheckLayout(std::size_t line) const;
  Expected<PlaceRecord> ReadRecord(const CsvRow& row);
  Expected<void> ReadText(const CsvRow& row, PlaceRecord* record);
  Expected<void> ReadEquipment(const CsvRow& row, Equipment* equipment);
  Expected<double> Coordinate(const CsvRow& row, Meaning meaning, double limit) const;
  Expected<std::shared_ptr<const MeasuredProfile>> Profile(const CsvField& field);
  Expected<void> Keep(PlaceRecord record);
  Expected<void> CheckIds() const;

  // The field, or nullptr where the row has none or an empty one.
  const CsvField* Find(const CsvRow& row, Meaning meaning) const {
    const int at = table_.layout.at[meaning];
    if (at == kNoColumn || static_cast<std::size_t>(at) >= row.size()) return nullptr;
    const CsvField& field = row[static_cast<std::size_t>(at)];
    return field.text.empty() ? nullptr : &field;
  }
  tl::unexpected<Error> Reject(std::size_t line, std::size_t column, std::string rule) const {
    return Fail(ErrorKind::kBadInput,
                fmt::format("{}:{}:{}", reader_.path(), line, column),
                std::move(rule));
  }
  tl::unexpected<Error> Reject(const CsvField& field, const std::string& rule) const {
    return Fail(ErrorKind::kBadInput,
                reader_.Place(field),
                fmt::format("{}, got \"{}\"", rule, field.text));
  }

  CsvReader reader_;
  PlaceRole role_;
  std::size_t sample_;
  const PlacesOptions& options_;
  PlaceTable table_;
  std::size_t columns_ = 0, seen_ = 0;
  std::map<std::string, std::shared_ptr<const MeasuredProfile>> profiles_;
};

Expected<void> TableReader::ReadHeader() {
  CsvRow header;
  const auto more = reader_.Next(&header);
  if (!more) return tl::unexpected(more.error());
  if (!*more) return Fail(ErrorKind::kBadInput, reader_.path(), "must have a header, is empty");
  PlaceLayout& layout = table_.layout;
  layout.at.fill(kNoColumn);
  columns_ = header.size();
  for (std::size_t i = 0; i < header.size(); ++i) {
    const std::string name = Normalised(header[i].text);
    const auto column =
        std::find_if(std::begin(kColumns), std::end(kColumns), [&](const Column& known) {
          return known.name == name &&
                 (role_ == PlaceRole::kSite ? known.of_sites : known.of_users);
        });
    if (column != std::end(kColumns)) {
      if (layout.Has(column->meaning)) {
        return Reject(header[i], fmt::format("there must be one column for \"{}\"", column->name));
      }
      layout.at[column->meaning] = static_cast<int>(i);
      continue;
    }
    for (const auto& [start, known] : kTelling) {
      if (name.starts_with(start)) {
        return Reject(header[i],
                      fmt::format("there is no such column of {}; there is {}",
                                  role_ == PlaceRole::kSite ? "sites" : "users",
                                  known));
      }
    }
    if (!name.empty()) layout.passed_over.push_back(header[i].text);
  }
  layout.degrees = layout.Has(kLatitude) || layout.Has(kLongitude);
  return CheckLayout(header.front().line);
}

Expected<void> TableReader::CheckLayout(std::size_t line) const {
  const PlaceLayout& layout = table_.layout;
  if (layout.degrees
          ? layout.Has(kLatitude) && layout.Has(kLongitude) && !layout.Has(kX) && !layout.Has(kY)
          : layout.Has(kX) && layout.Has(kY)) {
    return {};
  }
  return Reject(line,
                1,
                "the header must have columns \"latitude\" and \"longitude\" (or \"lat\" and "
                "\"lon\"), or \"x_m\" and \"y_m\", one pair of the two");
}

Expected<double> TableReader::Coordinate(const CsvRow& row, Meaning meaning, double limit) const {
  const CsvField* field = Find(row, meaning);
  if (field == nullptr) {
    const auto at = static_cast<std::size_t>(table_.layout.at[meaning]);
    const CsvField& near = row[std::min(at, row.size() - 1)];
    return Fail(ErrorKind::kBadInput,
                reader_.Place(near),
                fmt::format("column {} must have a coordinate, has none", at + 1));
  }
  const auto value = reader_.Number(*field);
  if (!value || std::abs(*value) <= limit) return value;
  const bool swapped = meaning == kLatitude && std::abs(*value) <= 180.0;
  return Reject(*field,
                fmt::format("must be in [-{0:g}, {0:g}]{1}",
                            limit,
                            swapped ? " (are latitude and longitude swapped?)" : ""));
}

Expected<std::shared_ptr<const MeasuredProfile>> TableReader::Profile(const CsvField& field) {
  const auto known = profiles_.find(field.text);
  if (known != profiles_.end()) return known->second;
  const std::filesystem::path path =
      std::filesystem::path(reader_.path()).parent_path() / field.text;
  auto read = ReadProfile(path.string());
  if (!read) {
    Error error = read.error();
    error.where = fmt::format("{}: {}", reader_.Place(field), error.where);
    return tl::unexpected(std::move(error));
  }
  const auto profile = std::make_shared<const MeasuredProfile>(std::move(*read));
  profiles_.emplace(field.text, profile);
  return profile;
}

Expected<void> TableReader::ReadEquipment(const CsvRow& row, Equipment* equipment) {
  const std::pair<Meaning, std::optional<double>*> positives[] = {
      {kPower, &equipment->tx_power_w_max},
      {kClock, &equipment->clock_hz_max},
      {kBandwidth, &equipment->bandwidth_hz},
      {kRadius, &equipment->coverage_radius_m},
      {kMemory, &equipment->memory_bytes_max}};
  for (const auto& [meaning, value] : positives) {
    const CsvField* field = Find(row, meaning);
    if (field == nullptr) continue;
    const auto number = reader_.Number(*field);
    if (!number) return tl::unexpected(number.error());
    if (!(*number > 0.0)) return Reject(*field, "must be > 0");
    *value = *number;
  }
  if (const CsvField* field = Find(row, kSlots)) {
    const auto number = reader_.Number(*field);
    if (!number) return tl::unexpected(number.error());
    if (*number != std::floor(*number) || *number < 0.0 || *number > kSlotsMax) {
      return Reject(*field, "must be a whole number from 0 to 1e9");
    }
    equipment->slots = static_cast<int>(*number);
  }
  if (const CsvField* field = Find(row, kProfile)) {
    const auto profile = Profile(*field);
    if (!profile) return tl::unexpected(profile.error());
    equipment->profile = *profile;
  }
  return {};
}

Expected<void> TableReader::ReadText(const CsvRow& row, PlaceRecord* record) {
  if (table_.layout.Has(kId)) {
    const CsvField* field = Find(row, kId);
    if (field == nullptr) {
      return Reject(row.front().line, row.front().column, "must have an id, as others here do");
    }
    if (!IsNodeId(field->text)) return Reject(*field, std::string(kNodeIdRule));
    record->equipment.id = field->text;
    record->id_column = field->column;
  }
  if (const CsvField* field = Find(row, kName)) {
    std::string name = field->text;
    std::replace(name.begin(), name.end(), '\n', ' ');
    std::replace(name.begin(), name.end(), '\t', ' ');
    if (!IsPrintable(name) || name.size() > kNameBytesMax) {
      return Fail(ErrorKind::kBadInput,
                  reader_.Place(*field),
                  fmt::format("a name must be at most {} bytes of UTF-8 without control characters "
                              "(iconv -t utf-8 converts other encodings)",
                              kNameBytesMax));
    }
    record->equipment.name = std::move(name);
  }
  return {};
}

Expected<PlaceRecord> TableReader::ReadRecord(const CsvRow& row) {
  for (std::size_t i = columns_; i < row.size(); ++i) {
    if (!row[i].text.empty()) {
      return Reject(row[i], fmt::format("must have {} fields as the header has", columns_));
    }
  }
  constexpr double kMetresMax = 1e9;
  const bool degrees = table_.layout.degrees;
  PlaceRecord record;
  record.line = row.front().line;
  const auto first = Coordinate(row, degrees ? kLatitude : kX, degrees ? 90.0 : kMetresMax);
  if (!first) return tl::unexpected(first.error());
  const auto second = Coordinate(row, degrees ? kLongitude : kY, degrees ? 180.0 : kMetresMax);
  if (!second) return tl::unexpected(second.error());
  record.first = *first;
  record.second = *second;
  if (const auto read = ReadText(row, &record); !read) return tl::unexpected(read.error());
  if (const auto read = ReadEquipment(row, &record.equipment); !read) {
    return tl::unexpected(read.error());
  }
  return record;
}

// All, or by algorithm R (Vitter, ACM TOMS 11, 1985) a sample.
Expected<void> TableReader::Keep(PlaceRecord record) {
  std::vector<PlaceRecord>& records = table_.records;
  const std::size_t limit = sample_ == 0 ? kPlacesMax : sample_;
  const std::size_t index = seen_++;
  if (records.size() < limit) {
    records.push_back(std::move(record));
    return {};
  }
  if (sample_ == 0) {
    return Reject(record.line,
                  1,
                  fmt::format("must have at most {} places; --sample-{} draws so many of them",
                              kPlacesMax,
                              role_ == PlaceRole::kSite ? "sites" : "users"));
  }
  Rng rng = Rng(options_.seed).Stream(role_ == PlaceRole::kSite ? "site sample" : "user sample");
  const std::uint64_t place = rng.Stream(index).Below(index + 1);
  if (place < records.size()) records[static_cast<std::size_t>(place)] = std::move(record);
  return {};
}

Expected<void> TableReader::CheckIds() const {
  std::unordered_map<std::string_view, std::size_t> lines;
  for (const PlaceRecord& record : table_.records) {
    const std::string& id = record.equipment.id;
    if (id.empty()) continue;
    const auto [first, is_new] = lines.emplace(id, record.line);
    if (!is_new) {
      return Reject(record.line,
                    record.id_column,
                    fmt::format("ids must differ, \"{}\" is that of line {}", id, first->second));
    }
  }
  return {};
}

Expected<PlaceTable> TableReader::Read() {
  if (const auto read = ReadHeader(); !read) return tl::unexpected(read.error());
  std::size_t told = 0;
  for (CsvRow row;;) {
    const auto more = reader_.Next(&row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    auto record = ReadRecord(row);
    if (!record) return tl::unexpected(record.error());
    if (const auto kept = Keep(std::move(*record)); !kept) return tl::unexpected(kept.error());
    if (options_.on_progress && reader_.line() >= told + kProgressLines) {
      told = reader_.line();
      options_.on_progress(reader_.path(), told);
    }
  }
  std::vector<PlaceRecord>& records = table_.records;
  if (records.empty()) {
    return Fail(ErrorKind::kBadInput, reader_.path(), "must have a header and at least one row");
  }
  std::sort(records.begin(), records.end(), [](const PlaceRecord& a, const PlaceRecord& b) {
    return a.line < b.line;
  });
  if (const auto differ = CheckIds(); !differ) return tl::unexpected(differ.error());
  return std::move(table_);
}

}  // namespace

Expected<PlaceTable> ReadPlaceTable(const std::string& path,
                                    PlaceRole role,
                                    std::size_t sample,
                                    const PlacesOptions& options) {
  auto reader = CsvReader::Open(path);
  if (!reader) return tl::unexpected(reader.error());
  return TableReader(std::move(*reader), role, sample, options).Read();
}

}  // namespace dashf
