#include "tensorfile/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/file_kind.h"
#include "base/json.h"

namespace dashf::tensorfile {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr const char* kMetadataKey = "__metadata__";
// The format's own limit; a header holds about 100 bytes per tensor.
constexpr std::uint64_t kHeaderBytesMax = 100'000'000;
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

struct DTypeEntry {
  std::string_view name;
  DType dtype;
  std::int64_t bytes;
};
constexpr std::array kDTypes = {
    DTypeEntry{"F64", DType::kF64, 8},
    DTypeEntry{"F32", DType::kF32, 4},
    DTypeEntry{"F16", DType::kF16, 2},
    DTypeEntry{"BF16", DType::kBF16, 2},
    DTypeEntry{"I64", DType::kI64, 8},
    DTypeEntry{"I32", DType::kI32, 4},
    DTypeEntry{"I16", DType::kI16, 2},
    DTypeEntry{"I8", DType::kI8, 1},
    DTypeEntry{"U8", DType::kU8, 1},
    DTypeEntry{"BOOL", DType::kBool, 1},
};

const DTypeEntry& Entry(DType dtype) {
  return *std::ranges::find(kDTypes, dtype, &DTypeEntry::dtype);
}

// Bytes of a tensor, or -1 where they do not fit 63 bits.
std::int64_t TensorBytes(DType dtype, const std::vector<std::int64_t>& shape) {
  // A dimension of 0 makes the product 0 whatever the others are.
  if (std::ranges::count(shape, 0) > 0) return 0;
  std::int64_t bytes = BytesPerElement(dtype);
  for (const std::int64_t dimension : shape) {
    if (bytes > kInt64Max / dimension) return -1;
    bytes *= dimension;
  }
  return bytes;
}

struct Place {
  std::int64_t begin = 0, end = 0;  // In the bytes after the header.
  const std::string* tensor = nullptr;
};

// One entry of the header; what is wrong with it stays in the document.
void ReadTensor(JsonReader entry, std::string_view data, TensorView* tensor, Place* place) {
  const std::string name = entry.String("dtype");
  const auto dtype = std::ranges::find(kDTypes, name, &DTypeEntry::name);
  if (dtype == kDTypes.end() && !entry.failed()) {
    entry.Reject("dtype", "must be one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
  }
  entry.ForEach("shape", [&](JsonReader dimension) {
    tensor->shape.push_back(dimension.AsInteger(0, kInt64Max));
  });
  std::vector<std::int64_t> offsets;
  const auto size = static_cast<std::int64_t>(data.size());
  entry.ForEach("data_offsets",
                [&](JsonReader offset) { offsets.push_back(offset.AsInteger(0, size)); });
  entry.RejectUnknownKeys();
  if (entry.failed()) return;
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    entry.Reject("data_offsets", "must be [begin, end] with begin <= end");
    return;
  }
  tensor->dtype = dtype->dtype;
  const std::int64_t bytes = TensorBytes(tensor->dtype, tensor->shape);
  if (bytes != offsets[1] - offsets[0]) {
    entry.Reject("data_offsets",
                 bytes < 0 ? std::string("must hold the shape, which is over 2^63 bytes")
                           : fmt::format("must hold the {} bytes of {} [{}]",
                                         bytes,
                                         name,
                                         fmt::join(tensor->shape, ", ")));
    return;
  }
  place->begin = offsets[0];
  place->end = offsets[1];
  tensor->bytes =
      data.substr(static_cast<std::size_t>(place->begin), static_cast<std::size_t>(bytes));
}

// The tensors must fill the data: each begins where the one before ends, the last ends with it.
Expected<void> CheckPlaces(const std::string& name, std::vector<Place> places, std::int64_t size) {
  std::ranges::sort(places, {}, [](const Place& place) {
    return std::pair{place.begin, place.end};
  });
  std::int64_t end = 0;
  for (const Place& place : places) {
    if (place.begin != end) {
      return Fail(
          ErrorKind::kBadInput,
          fmt::format("{}: {}.data_offsets", name, *place.tensor),
          fmt::format("must begin where the tensor before ends, at {}, got {}", end, place.begin));
    }
    end = place.end;
  }
  if (end == size) return {};
  return Fail(
      ErrorKind::kBadInput,
      name,
      fmt::format("the tensors must fill the file, {} bytes after the header, got {}", size, end));
}

}  // namespace

std::string_view Name(DType dtype) {
  return Entry(dtype).name;
}

std::int64_t BytesPerElement(DType dtype) {
  return Entry(dtype).bytes;
}

Expected<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  auto file = MappedFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  return ParseFile(path, *std::move(file));
}

Expected<SafetensorsFile> SafetensorsFile::Parse(const std::string& name, std::string bytes) {
  return ParseFile(name, MappedFile::Of(std::move(bytes)));
}

Expected<SafetensorsFile> SafetensorsFile::ParseFile(const std::string& name, MappedFile source) {
  const std::string_view bytes = source.bytes();
  const auto refuse = [&](std::string rule) {
    return Fail(ErrorKind::kBadInput, name, std::move(rule));
  };
  if (auto pointer = LfsPointer(bytes)) return refuse(std::move(*pointer));
  if (bytes.size() < kLengthBytes) {
    return refuse(
        fmt::format("must begin with 8 bytes of header length, is {} bytes", bytes.size()));
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  }
  const std::uint64_t length_max =
      std::min<std::uint64_t>(bytes.size() - kLengthBytes, kHeaderBytesMax);
  if (length > length_max) {
    return refuse(fmt::format("header length must be at most {}, got {}", length_max, length));
  }
  const std::string_view header = bytes.substr(kLengthBytes, length);
  const std::string_view data = bytes.substr(kLengthBytes + length);
  if (!header.starts_with('{')) return refuse("header must begin with '{'");
  auto document = JsonDocument::Parse(name, header);
  if (!document) return tl::unexpected(document.error());
  SafetensorsFile file;
  std::vector<Place> places;
  document->Root().ForEachMember([&](const std::string& key, JsonReader entry) {
    if (key == kMetadataKey) {
      entry.ForEachMember(
          [&](const std::string& k, JsonReader v) { file.metadata_[k] = v.AsString(); });
      return;
    }
    const auto it = file.tensors_.emplace(key, TensorView{}).first;
    Place place{.tensor = &it->first};
    ReadTensor(entry, data, &it->second, &place);
    places.push_back(place);
  });
  if (document->error()) return tl::unexpected(*document->error());
  const auto checked = CheckPlaces(name, std::move(places), static_cast<std::int64_t>(data.size()));
  if (!checked) return tl::unexpected(checked.error());
  file.file_ = std::move(source);
  return file;
}

std::string WriteSafetensors(const TensorMap& tensors, const Metadata& metadata) {
  DASHF_CHECK(!tensors.contains(kMetadataKey));
  std::vector<const TensorMap::value_type*> order;
  for (const auto& tensor : tensors) {
    DASHF_CHECK(TensorBytes(tensor.second.dtype, tensor.second.shape) ==
                static_cast<std::int64_t>(tensor.second.bytes.size()));
    order.push_back(&tensor);
  }
  std::ranges::stable_sort(order, std::greater(), [](const TensorMap::value_type* tensor) {
    return BytesPerElement(tensor->second.dtype);
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::size_t end = 0;
  for (const auto* tensor : order) {
    const auto& [name, view] = *tensor;
    header[name] = {{"dtype", Name(view.dtype)},
                    {"shape", view.shape},
                    {"data_offsets", {end, end + view.bytes.size()}}};
    end += view.bytes.size();
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // The data begin at a multiple of 8.
  std::string file;
  file.reserve(kLengthBytes + text.size() + end);
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    file += static_cast<char>(text.size() >> (8 * i) & 0xFF);
  }
  file += text;
  for (const auto* tensor : order) file += tensor->second.bytes;
  return file;
}

}  // namespace dashf::tensorfile
