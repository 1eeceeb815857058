#include "scenario/eua.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace dashf {
namespace {

constexpr double kEarthRadiusM = 6371008.8;  // Mean radius, IUGG.

struct Degrees {
  double latitude = 0.0;
  double longitude = 0.0;
};

// RFC 4180: fields separated by commas, quoted ones may hold commas, line ends and doubled quotes.
struct CsvRow {
  std::size_t line = 0;  // Where it starts, from 1.
  std::vector<std::string> fields;
};

Expected<std::vector<CsvRow>> ParseCsv(const std::string& path, std::string_view text) {
  std::vector<CsvRow> rows;
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    CsvRow row{line, {""}};
    bool quoted = false;
    for (; at < text.size() && (quoted || text[at] != '\n'); ++at) {
      const char c = text[at];
      if (c == '\n') ++line;
      if (quoted && c == '"' && at + 1 < text.size() && text[at + 1] == '"') {
        row.fields.back() += '"';
        ++at;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        row.fields.emplace_back();
      } else if (c != '\r' || quoted) {
        row.fields.back() += c;
      }
    }
    if (quoted) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}: line {}", path, row.line),
                  "a quoted field must end");
    }
    ++at;
    ++line;
    if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(std::move(row));
  }
  return rows;
}

// The header's column of that name, without regard to case.
Expected<std::size_t> FindColumn(const std::string& path,
                                 const CsvRow& header,
                                 std::string_view name) {
  const auto same = [name](std::string_view field) {
    return std::equal(field.begin(), field.end(), name.begin(), name.end(), [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == b;
    });
  };
  const auto it = std::find_if(header.fields.begin(), header.fields.end(), same);
  if (it == header.fields.end()) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("{}: line {}", path, header.line),
                fmt::format("the header must have a column \"{}\"", name));
  }
  return static_cast<std::size_t>(it - header.fields.begin());
}

Expected<double> ParseDegrees(const std::string& path,
                              const CsvRow& row,
                              std::size_t column,
                              double limit) {
  const std::string_view field =
      column < row.fields.size() ? std::string_view(row.fields[column]) : std::string_view();
  double degrees = std::nan("");
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), degrees);
  const bool whole = error == std::errc() && end == field.data() + field.size();
  if (!whole || !(std::abs(degrees) <= limit)) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("{}: line {}, column {}", path, row.line, column + 1),
                fmt::format("must be degrees in [-{0}, {0}], got \"{1}\"", limit, field));
  }
  return degrees;
}

Expected<std::vector<Degrees>> ReadPoints(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text) return tl::unexpected(text.error());
  const auto rows = ParseCsv(path, *text);
  if (!rows) return tl::unexpected(rows.error());
  if (rows->size() < 2) {
    return Fail(ErrorKind::kBadInput, path, "must have a header and at least one row");
  }
  const auto latitude = FindColumn(path, rows->front(), "latitude");
  if (!latitude) return tl::unexpected(latitude.error());
  const auto longitude = FindColumn(path, rows->front(), "longitude");
  if (!longitude) return tl::unexpected(longitude.error());
  std::vector<Degrees> points;
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const auto north = ParseDegrees(path, (*rows)[i], *latitude, 90.0);
    if (!north) return tl::unexpected(north.error());
    const auto east = ParseDegrees(path, (*rows)[i], *longitude, 180.0);
    if (!east) return tl::unexpected(east.error());
    points.push_back({*north, *east});
  }
  return points;
}

std::vector<Position> Project(const std::vector<Degrees>& points, const Degrees& centre) {
  constexpr double kRadian = std::numbers::pi / 180.0;
  std::vector<Position> positions;
  for (const Degrees& point : points) {
    positions.push_back({kEarthRadiusM * kRadian * (point.longitude - centre.longitude) *
                             std::cos(kRadian * centre.latitude),
                         kEarthRadiusM * kRadian * (point.latitude - centre.latitude)});
  }
  return positions;
}

}  // namespace

Expected<Geography> ReadEua(const std::string& sites_path, const std::string& users_path) {
  const auto sites = ReadPoints(sites_path);
  if (!sites) return tl::unexpected(sites.error());
  const auto users = ReadPoints(users_path);
  if (!users) return tl::unexpected(users.error());
  Degrees centre;
  const double count = static_cast<double>(sites->size() + users->size());
  for (const auto* points : {&*sites, &*users}) {
    for (const Degrees& point : *points) {
      centre.latitude += point.latitude / count;
      centre.longitude += point.longitude / count;
    }
  }
  return Geography{.users = Project(*users, centre), .servers = Project(*sites, centre)};
}

}  // namespace dashf
