#include "scenario/gain_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "scenario/csv.h"

namespace dashf {
namespace {

constexpr std::size_t kGainsMax = std::size_t{1} << 28;

// Linear; nothing where `value` is no gain.
std::optional<double> GainOf(double value, GainUnit unit) {
  const double gain = unit == GainUnit::kDb ? std::pow(10.0, value / 10.0) : value;
  if (std::isnan(value) || !(gain >= 0.0) || !std::isfinite(gain)) return std::nullopt;
  return gain;
}

std::string Rule(double value, GainUnit unit) {
  if (unit == GainUnit::kDb) {
    return fmt::format("must be a gain in dB, finite or -inf (no link), got {}", value);
  }
  return fmt::format("must be a power gain >= 0 (0: no link), got {}{}",
                     value,
                     value < 0.0 ? "; for dB there is --gains-db" : "");
}

Expected<GainMatrix> TooMany(const std::string& path) {
  return Fail(ErrorKind::kBadInput, path, fmt::format("must have at most {} gains", kGainsMax));
}

bool IsNumber(const CsvReader& reader, const CsvField& field) {
  return field.text == "-inf" || reader.Number(field);
}

Expected<GainMatrix> ReadCsv(const std::string& path, GainUnit unit) {
  auto reader = CsvReader::Open(path);
  if (!reader) return tl::unexpected(reader.error());
  GainMatrix matrix;
  bool first = true;
  for (CsvRow row;; first = false) {
    const auto more = reader->Next(&row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    if (first) matrix.servers = row.size();
    if (first && std::none_of(row.begin(), row.end(), [&](const CsvField& field) {
          return IsNumber(*reader, field);
        })) {
      continue;
    }
    if (row.size() != matrix.servers) {
      return Fail(ErrorKind::kBadInput,
                  reader->Place(row.front()),
                  fmt::format("must have {} gains, one per server, as the first line has; got {}",
                              matrix.servers,
                              row.size()));
    }
    if (matrix.gains.size() + row.size() > kGainsMax) return TooMany(path);
    for (const CsvField& field : row) {
      const auto value =
          field.text == "-inf" ? -std::numeric_limits<double>::infinity() : reader->Number(field);
      if (!value) return tl::unexpected(value.error());
      const auto gain = GainOf(*value, unit);
      if (!gain) return Fail(ErrorKind::kBadInput, reader->Place(field), Rule(*value, unit));
      matrix.gains.push_back(*gain);
    }
    ++matrix.users;
  }
  if (matrix.users == 0) return Fail(ErrorKind::kBadInput, path, "must have a line per user");
  return matrix;
}

// What a .npy file says of itself (NEP 1: a Python dictionary in ASCII).
struct NpyHeader {
  std::size_t data_at = 0;
  bool swapped = false, wide = false, fortran_order = false;
  std::size_t rows = 0, columns = 0;
};

// What follows "'key':" in the dictionary.
std::string_view Value(std::string_view dictionary, std::string_view key) {
  const auto at = dictionary.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return {};
  const std::string_view rest = dictionary.substr(at + key.size() + 3);
  return rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
}

// "(3, 2)".
bool ParseShape(std::string_view text, NpyHeader* header) {
  const auto number = [&text](std::size_t* value) {
    text = text.substr(std::min(text.find_first_not_of(' '), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc();
  };
  const auto sign = [&text](char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  };
  return sign('(') && number(&header->rows) && sign(',') && number(&header->columns) &&
         (sign(')') || (sign(',') && sign(')')));
}

// nullopt where `bytes` are no .npy header of a version that there is.
std::optional<std::string_view> DictionaryOf(std::string_view bytes, std::size_t* data_at) {
  const auto byte = [bytes](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  if (bytes.size() < 12) return std::nullopt;
  const bool short_length = byte(6) == 1;
  const std::size_t start = short_length ? 10 : 12;
  std::size_t length = byte(8) | byte(9) << 8;
  if (!short_length) length |= byte(10) << 16 | byte(11) << 24;
  if (byte(6) < 1 || byte(6) > 3 || length > bytes.size() - start) return std::nullopt;
  *data_at = start + length;
  return bytes.substr(start, length);
}

Expected<NpyHeader> ParseHeader(const std::string& path, std::string_view bytes) {
  const auto reject = [&path](std::string rule) {
    return Fail(ErrorKind::kBadInput, path, std::move(rule));
  };
  NpyHeader header;
  const auto dictionary = DictionaryOf(bytes, &header.data_at);
  if (!dictionary) return reject("its .npy header is cut off or of an unknown version");
  const std::string_view type = Value(*dictionary, "descr");
  const std::string_view kind = type.substr(0, std::min<std::size_t>(type.size(), 5));
  if (kind.size() != 5 || kind[2] != 'f' || (kind[3] != '4' && kind[3] != '8') || kind[4] != '\'') {
    return reject(fmt::format("must hold float32 or float64, holds {}{}",
                              kind,
                              kind.size() > 2 && kind[2] == 'c'
                                  ? " (complex: the sum of abs(h)**2 over paths is a power gain)"
                                  : ""));
  }
  header.wide = kind[3] == '8';
  constexpr char kForeign = std::endian::native == std::endian::little ? '>' : '<';
  header.swapped = kind[1] == kForeign;
  header.fortran_order = Value(*dictionary, "fortran_order").starts_with("True");
  if (!ParseShape(Value(*dictionary, "shape"), &header)) {
    return reject("must have two dimensions, users x servers");
  }
  const std::size_t size = header.wide ? 8 : 4;
  const std::size_t held = (bytes.size() - header.data_at) / size;
  if (header.rows == 0 || header.columns == 0 || header.columns > kGainsMax / header.rows ||
      header.rows * header.columns != held) {
    return reject(fmt::format("its shape ({}, {}) is not that of the {} numbers in it",
                              header.rows,
                              header.columns,
                              held));
  }
  return header;
}

template <class Float>
double Load(const char* bytes, bool swapped) {
  char ordered[sizeof(Float)];
  std::memcpy(ordered, bytes, sizeof(Float));
  if (swapped) std::reverse(ordered, ordered + sizeof(Float));
  Float value;
  std::memcpy(&value, ordered, sizeof(Float));
  return static_cast<double>(value);
}

Expected<GainMatrix> ReadNpy(const std::string& path, GainUnit unit) {
  const auto bytes = ReadFile(path, kGainsMax * sizeof(double) + (std::uint64_t{1} << 20));
  if (!bytes) return tl::unexpected(bytes.error());
  const auto header = ParseHeader(path, *bytes);
  if (!header) return tl::unexpected(header.error());
  GainMatrix matrix{.users = header->rows, .servers = header->columns, .gains = {}};
  matrix.gains.reserve(matrix.users * matrix.servers);
  for (std::size_t n = 0; n < matrix.users; ++n) {
    for (std::size_t m = 0; m < matrix.servers; ++m) {
      const std::size_t i = header->fortran_order ? m * matrix.users + n : n * matrix.servers + m;
      const char* at = bytes->data() + header->data_at + i * (header->wide ? 8 : 4);
      const double value =
          header->wide ? Load<double>(at, header->swapped) : Load<float>(at, header->swapped);
      const auto gain = GainOf(value, unit);
      if (!gain) {
        return Fail(ErrorKind::kBadInput, fmt::format("{}[{}, {}]", path, n, m), Rule(value, unit));
      }
      matrix.gains.push_back(*gain);
    }
  }
  return matrix;
}

}  // namespace

Expected<GainMatrix> ReadGainMatrix(const std::string& path, GainUnit unit) {
  return path.ends_with(".npy") ? ReadNpy(path, unit) : ReadCsv(path, unit);
}

}  // namespace dashf
