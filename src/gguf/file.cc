#include "gguf/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "base/check.h"

namespace dashf::gguf {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr const char* kAlignmentKey = "general.alignment";
constexpr std::int64_t kAlignmentDefault = 32, kAlignmentMax = 1 << 16;
constexpr std::uint64_t kKeyBytesMax = 65535;      // The specification's.
constexpr std::uint64_t kTensorNameBytesMax = 64;  // The specification's.
constexpr std::uint32_t kDimensionsMax = 4;        // ggml's.
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

enum ValueType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
  kValueTypes
};
// Bytes of a value of the type; of a string, its length's.
constexpr std::uint64_t kBytesOf[kValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

std::uint64_t AlignedUp(std::uint64_t at, std::uint64_t alignment) {
  return (at + alignment - 1) / alignment * alignment;
}

// Walks a file's bytes; keeps the first broken rule, after which every read gives 0.
class Reader {
 public:
  Reader(const std::string& name, std::string_view bytes) : name_(name), bytes_(bytes) {}

  void Header();
  Value ReadValue(const std::string& key, std::uint32_t type);
  void ReadMetadata(Metadata* metadata);
  void ReadTensors(std::uint64_t alignment, TensorMap* tensors);

  const std::optional<Error>& error() const { return error_; }

 private:
  std::uint64_t Left() const { return bytes_.size() - at_; }
  void Refuse(const std::string& place, std::string rule) {
    if (!error_) {
      error_ = Error{
          ErrorKind::kBadInput, place.empty() ? name_ : name_ + ": " + place, std::move(rule)};
    }
  }
  std::string_view Take(const std::string& place, std::uint64_t count) {
    if (error_) return {};
    if (count > Left()) {
      Refuse(place, fmt::format("{} bytes are claimed where {} are left", count, Left()));
      return {};
    }
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  std::uint64_t Unsigned(const std::string& place, std::uint64_t bytes) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : Take(place, bytes)) {
      value |= std::uint64_t{static_cast<unsigned char>(c)} << shift;
      shift += 8;
    }
    return value;
  }
  std::string String(const std::string& place, std::uint64_t bytes_max) {
    const std::uint64_t length = Unsigned(place, 8);
    if (length > bytes_max) {
      Refuse(place, fmt::format("is {} bytes long, more than {}", length, bytes_max));
    }
    return std::string(Take(place, length));
  }
  std::int64_t Integer(const std::string& place, std::uint32_t type);
  double Number(const std::string& place, std::uint32_t type);
  bool Boolean(const std::string& place);
  Value ReadArray(const std::string& key);
  Tensor ReadTensorInfo(const std::string& place, std::uint64_t* offset);

  std::string name_;
  std::string_view bytes_;
  std::uint64_t at_ = 0;
  std::uint64_t tensors_ = 0, pairs_ = 0;
  std::optional<Error> error_;
};

void Reader::Header() {
  if (!bytes_.starts_with(kMagic)) return Refuse("", "does not begin with \"GGUF\"");
  at_ = kMagic.size();
  const std::uint64_t version = Unsigned("version", 4);
  if ((version & 0xFFFFU) == 0 && version != 0) return Refuse("version", "big-endian is not read");
  if (version != 2 && version != 3) {
    return Refuse("version", fmt::format("must be 2 or 3, got {}", version));
  }
  tensors_ = Unsigned("tensor_count", 8);
  pairs_ = Unsigned("metadata_kv_count", 8);
  // A tensor takes at least 32 bytes of header, a pair of the metadata 13.
  if (tensors_ > Left() / 32) Refuse("tensor_count", fmt::format("{} cannot be", tensors_));
  if (pairs_ > Left() / 13) Refuse("metadata_kv_count", fmt::format("{} cannot be", pairs_));
}

std::int64_t Reader::Integer(const std::string& place, std::uint32_t type) {
  const std::uint64_t raw = Unsigned(place, kBytesOf[type]);
  switch (type) {
    case kInt8:
      return static_cast<std::int8_t>(raw);
    case kInt16:
      return static_cast<std::int16_t>(raw);
    case kInt32:
      return static_cast<std::int32_t>(raw);
    case kInt64:
      return static_cast<std::int64_t>(raw);
    default:
      if (raw > std::uint64_t{kInt64Max}) Refuse(place, fmt::format("{} is beyond 2^63", raw));
      return static_cast<std::int64_t>(raw);
  }
}

double Reader::Number(const std::string& place, std::uint32_t type) {
  const std::uint64_t raw = Unsigned(place, kBytesOf[type]);
  const double value = type == kFloat32 ? std::bit_cast<float>(static_cast<std::uint32_t>(raw))
                                        : std::bit_cast<double>(raw);
  if (!std::isfinite(value)) Refuse(place, "must be finite");
  return value;
}

bool Reader::Boolean(const std::string& place) {
  const std::uint64_t raw = Unsigned(place, 1);
  if (raw > 1) Refuse(place, fmt::format("a boolean must be 0 or 1, got {}", raw));
  return raw == 1;
}

Value Reader::ReadValue(const std::string& key, std::uint32_t type) {
  switch (type) {
    case kFloat32:
    case kFloat64:
      return Number(key, type);
    case kBool:
      return Boolean(key);
    case kString:
      return String(key, Left());
    case kArray:
      return ReadArray(key);
    default:
      if (type < kValueTypes) return Integer(key, type);
      Refuse(key, fmt::format("there is no type of value {}", type));
      return false;
  }
}

Value Reader::ReadArray(const std::string& key) {
  const auto type = static_cast<std::uint32_t>(Unsigned(key, 4));
  const std::uint64_t count = Unsigned(key, 8);
  if (type == kArray) {
    Refuse(key, "lists in lists are not read");
  } else if (type >= kValueTypes) {
    Refuse(key, fmt::format("there is no type of value {}", type));
  } else if (count > Left() / kBytesOf[type]) {
    Refuse(key, fmt::format("a list of {} is claimed where {} bytes are left", count, Left()));
  }
  if (error_) return false;
  const auto read = [&](auto list, const auto& element) -> Value {
    list.reserve(count);
    for (std::uint64_t i = 0; i < count && !error_; ++i) list.push_back(element());
    return list;
  };
  if (type == kString) {
    return read(std::vector<std::string>(), [&] { return String(key, Left()); });
  }
  if (type == kBool) return read(std::vector<bool>(), [&] { return Boolean(key); });
  if (type == kFloat32 || type == kFloat64) {
    return read(std::vector<double>(), [&] { return Number(key, type); });
  }
  return read(std::vector<std::int64_t>(), [&] { return Integer(key, type); });
}

void Reader::ReadMetadata(Metadata* metadata) {
  for (std::uint64_t i = 0; i < pairs_ && !error_; ++i) {
    const std::string place = fmt::format("metadata[{}]", i);
    const std::string key = String(place, kKeyBytesMax);
    if (!error_ && key.empty()) Refuse(place, "a key must not be empty");
    const auto type = static_cast<std::uint32_t>(Unsigned(key, 4));
    Value value = ReadValue(key, type);
    if (!error_ && !metadata->emplace(key, std::move(value)).second) Refuse(key, "stands twice");
  }
}

// Name and offset are the caller's.
Tensor Reader::ReadTensorInfo(const std::string& place, std::uint64_t* offset) {
  Tensor tensor;
  const auto dimensions = static_cast<std::uint32_t>(Unsigned(place, 4));
  if (dimensions < 1 || dimensions > kDimensionsMax) {
    Refuse(place, fmt::format("must have 1 to {} dimensions, got {}", kDimensionsMax, dimensions));
  }
  std::int64_t elements = 1;
  for (std::uint32_t i = 0; i < dimensions && !error_; ++i) {
    const std::int64_t dimension = Integer(place, kUint64);
    if (dimension < 1 || elements > kInt64Max / 4 / std::max<std::int64_t>(dimension, 1)) {
      Refuse(place, fmt::format("dimension {} cannot be", dimension));
      return tensor;
    }
    elements *= dimension;
    tensor.shape.insert(tensor.shape.begin(), dimension);
  }
  const auto type = static_cast<std::uint32_t>(Unsigned(place, 4));
  *offset = Unsigned(place, 8);
  if (error_) return tensor;
  const auto block = FindBlock(type);
  if (!block) {
    const std::string_view known = UnreadTypeName(type);
    Refuse(place,
           fmt::format("type {} is not read (only F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, "
                       "Q4_K, Q5_K and Q6_K)",
                       known.empty() ? std::to_string(type) : std::string(known)));
    return tensor;
  }
  tensor.type = block->type;
  if (tensor.shape.back() % block->elements != 0) {
    Refuse(place,
           fmt::format("rows of {} are no whole blocks of {}, which {} has",
                       tensor.shape.back(),
                       block->elements,
                       block->name));
    return tensor;
  }
  const auto bytes = static_cast<std::uint64_t>(elements / block->elements * block->bytes);
  if (bytes > bytes_.size()) {
    Refuse(place, fmt::format("takes {} bytes, more than the file has", bytes));
    return tensor;
  }
  tensor.bytes = bytes_.substr(0, bytes);  // Placed once the header's end is known.
  return tensor;
}

// The tensors must follow one another without hole or overlap, but for what aligns them.
void Reader::ReadTensors(std::uint64_t alignment, TensorMap* tensors) {
  std::uint64_t end = 0;  // Of the tensor before, in the data.
  std::vector<std::pair<Tensor*, std::uint64_t>> places;
  for (std::uint64_t i = 0; i < tensors_ && !error_; ++i) {
    const std::string name = String(fmt::format("tensors[{}]", i), kTensorNameBytesMax);
    const std::string place = "tensor " + name;
    std::uint64_t offset = 0;
    Tensor tensor = ReadTensorInfo(place, &offset);
    if (error_) return;
    if (offset != AlignedUp(end, alignment)) {
      return Refuse(place,
                    fmt::format("must begin where the tensor before ends, at {}, got {}",
                                AlignedUp(end, alignment),
                                offset));
    }
    end = offset + tensor.bytes.size();
    const auto [at, fresh] = tensors->emplace(name, std::move(tensor));
    if (!fresh) return Refuse(place, "stands twice");
    places.emplace_back(&at->second, offset);
  }
  if (error_) return;
  const std::uint64_t begin = AlignedUp(at_, alignment);
  const std::uint64_t size = bytes_.size() < begin ? 0 : bytes_.size() - begin;
  if (size < end || size > AlignedUp(end, alignment)) {
    return Refuse("", fmt::format("the tensors take {} bytes, the file has {}", end, size));
  }
  for (const auto& [tensor, offset] : places) {
    tensor->bytes = bytes_.substr(begin + offset, tensor->bytes.size());
  }
}

void AppendUnsigned(std::uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i) & 0xFFU);
}

void AppendString(std::string_view text, std::string* out) {
  AppendUnsigned(text.size(), 8, out);
  out->append(text);
}

// The narrow type of a number, or of all of a list, where it holds them; else the wide one.
ValueType TypeOf(double value) {
  const bool narrow = std::abs(value) <= std::numeric_limits<float>::max() &&
                      static_cast<double>(static_cast<float>(value)) == value;
  return narrow ? kFloat32 : kFloat64;
}
ValueType TypeOf(std::int64_t value) {
  return value >= 0 && value <= std::numeric_limits<std::uint32_t>::max() ? kUint32 : kInt64;
}

void AppendElement(ValueType, const std::string& text, std::string* out) {
  AppendString(text, out);
}
void AppendElement(ValueType, bool value, std::string* out) {
  AppendUnsigned(value ? 1 : 0, 1, out);
}
void AppendElement(ValueType type, double value, std::string* out) {
  if (type == kFloat64) return AppendUnsigned(std::bit_cast<std::uint64_t>(value), 8, out);
  AppendUnsigned(std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4, out);
}
void AppendElement(ValueType type, std::int64_t value, std::string* out) {
  AppendUnsigned(static_cast<std::uint64_t>(value), type == kUint32 ? 4 : 8, out);
}

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

template <class T>
ValueType ElementType(const T& value) {
  if constexpr (kIsList<T>) {
    ValueType type = ElementType(typename T::value_type());
    for (const auto& element : value) {
      const ValueType needed = ElementType(typename T::value_type(element));
      if (needed != type) return needed;
    }
    return type;
  } else if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) {
    return TypeOf(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return kBool;
  } else {
    return kString;
  }
}

void AppendValue(const Value& value, std::string* out) {
  std::visit(
      [&](const auto& held) {
        const ValueType type = ElementType(held);
        if constexpr (kIsList<std::decay_t<decltype(held)>>) {
          AppendUnsigned(kArray, 4, out);
          AppendUnsigned(type, 4, out);
          AppendUnsigned(held.size(), 8, out);
          for (const auto& element : held) AppendElement(type, element, out);
        } else {
          AppendUnsigned(type, 4, out);
          AppendElement(type, held, out);
        }
      },
      value);
}

std::int64_t ElementsOf(const Tensor& tensor) {
  std::int64_t elements = 1;
  for (const std::int64_t dimension : tensor.shape) elements *= dimension;
  return elements;
}

}  // namespace

Expected<File> File::Open(const std::string& path) {
  auto file = MappedFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  return ParseFile(path, *std::move(file));
}

Expected<File> File::Parse(const std::string& name, std::string bytes) {
  return ParseFile(name, MappedFile::Of(std::move(bytes)));
}

Expected<File> File::ParseFile(const std::string& name, MappedFile source) {
  File file;
  file.name_ = name;
  Reader reader(name, source.bytes());
  reader.Header();
  reader.ReadMetadata(&file.metadata_);
  std::int64_t alignment = kAlignmentDefault;
  if (const auto stated = file.metadata_.find(kAlignmentKey); stated != file.metadata_.end()) {
    const auto* value = std::get_if<std::int64_t>(&stated->second);
    const bool sound = value != nullptr && *value >= 1 && *value <= kAlignmentMax &&
                       std::has_single_bit(static_cast<std::uint64_t>(*value));
    if (!sound && !reader.error()) {
      return Fail(ErrorKind::kBadInput,
                  name + ": " + kAlignmentKey,
                  fmt::format("must be a power of two up to {}", kAlignmentMax));
    }
    if (sound) alignment = *value;
  }
  reader.ReadTensors(static_cast<std::uint64_t>(alignment), &file.tensors_);
  if (reader.error()) return tl::unexpected(*reader.error());
  file.file_ = std::move(source);
  return file;
}

bool IsGguf(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;  // A pipe would wait.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char magic[4] = {};
  const bool whole = ::read(fd, magic, sizeof magic) == sizeof magic;
  ::close(fd);
  return whole && std::string_view(magic, sizeof magic) == kMagic;
}

std::string Write(const Metadata& metadata, const TensorMap& tensors) {
  std::string out(kMagic);
  AppendUnsigned(3, 4, &out);
  AppendUnsigned(tensors.size(), 8, &out);
  AppendUnsigned(metadata.size(), 8, &out);
  std::uint64_t alignment = std::uint64_t{kAlignmentDefault};
  for (const auto& [key, value] : metadata) {
    AppendString(key, &out);
    AppendValue(value, &out);
    if (key == kAlignmentKey) alignment = static_cast<std::uint64_t>(std::get<0>(value));
  }
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    const Block& block = BlockOf(tensor.type);
    DASHF_CHECK(name.size() <= kTensorNameBytesMax && !tensor.shape.empty());
    DASHF_CHECK(ElementsOf(tensor) / block.elements * block.bytes == std::ssize(tensor.bytes));
    AppendString(name, &out);
    AppendUnsigned(tensor.shape.size(), 4, &out);
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      AppendUnsigned(static_cast<std::uint64_t>(tensor.shape[i]), 8, &out);
    }
    AppendUnsigned(static_cast<std::uint32_t>(tensor.type), 4, &out);
    end = AlignedUp(end, alignment);
    AppendUnsigned(end, 8, &out);
    end += tensor.bytes.size();
  }
  for (const auto& [name, tensor] : tensors) {
    out.resize(AlignedUp(out.size(), alignment));
    out.append(tensor.bytes);
  }
  out.resize(AlignedUp(out.size(), alignment));
  return out;
}

}  // namespace dashf::gguf
