#include "corpus/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kPiecesMax = 4'000'000;  // Of a vocabulary; ids must fit an int.

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  WireType wire = kVarint;
  std::uint64_t value = 0;   // Of a varint or a fixed number.
  std::string_view bytes{};  // Of a length-delimited field.
};

// Walks the fields of one message; a broken one ends the walk and is told by `broken()`.
// https://protobuf.dev/programming-guides/encoding/
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  std::optional<Field> Next() {
    if (rest_.empty() || broken_) return std::nullopt;
    const std::uint64_t tag = Varint();
    Field field{.number = static_cast<std::uint32_t>(tag >> 3), .wire = WireType(tag & 7)};
    if (tag > UINT32_MAX || field.number == 0) broken_ = true;
    switch (field.wire) {
      case kVarint:
        field.value = Varint();
        break;
      case kFixed64:
        field.value = LittleEndian(8);
        break;
      case kFixed32:
        field.value = LittleEndian(4);
        break;
      case kBytes:
        field.bytes = Take(Varint());
        break;
      default:  // Groups, which protobuf has given up, and what has never been.
        broken_ = true;
    }
    return broken_ ? std::nullopt : std::optional(field);
  }
  bool broken() const { return broken_; }

 private:
  std::string_view Take(std::uint64_t count) {
    if (count > rest_.size()) {
      broken_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint64_t LittleEndian(std::uint64_t bytes) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : Take(bytes)) {
      value |= std::uint64_t{static_cast<unsigned char>(c)} << shift;
      shift += 8;
    }
    return value;
  }
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const std::uint64_t byte = LittleEndian(1);
      if (shift == 63 && byte > 1) break;  // More than 64 bits.
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken_ = true;
    return 0;
  }

  std::string_view rest_;
  bool broken_ = false;
};

// Reads one file; keeps the first broken rule.
class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  Expected<SentencePieceModel> Read(std::string_view bytes);

 private:
  void Refuse(std::string place, std::string rule) {
    if (!error_) {
      error_ = Error{ErrorKind::kBadInput,
                     place.empty() ? name_ : name_ + ": " + std::move(place),
                     std::move(rule)};
    }
  }
  // Calls `visit` for each field of the message; a field of the wrong wire type gives an error.
  template <class Visit>
  void ForEachField(std::string_view bytes, const std::string& place, const Visit& visit) {
    Message message(bytes);
    while (const auto field = message.Next()) {
      if (error_) return;
      visit(*field);
    }
    if (message.broken()) Refuse(place, "is not a whole protobuf message");
  }
  bool Is(const Field& field, WireType wire, const std::string& place) {
    if (field.wire == wire) return true;
    Refuse(place,
           fmt::format("field {} has wire type {}, must have {}",
                       field.number,
                       static_cast<int>(field.wire),
                       static_cast<int>(wire)));
    return false;
  }

  void ReadPiece(std::string_view bytes);
  void ReadTrainer(std::string_view bytes);
  void ReadNormalizer(std::string_view bytes, bool denormalizer);

  std::string name_;
  SentencePieceModel model_;
  std::optional<Error> error_;
};

void Reader::ReadPiece(std::string_view bytes) {
  const std::string place = fmt::format("pieces[{}]", model_.pieces.size());
  SentencePiece piece;
  ForEachField(bytes, place, [&](const Field& field) {
    if (field.number == 1 && Is(field, kBytes, place)) {
      piece.text = field.bytes;
    } else if (field.number == 2 && Is(field, kFixed32, place)) {
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
      if (!std::isfinite(piece.score)) Refuse(place, "score must be finite");
    } else if (field.number == 3 && Is(field, kVarint, place)) {
      if (field.value < 1 || field.value > 6) {
        Refuse(place, fmt::format("type must be in [1, 6], got {}", field.value));
        return;
      }
      piece.type = static_cast<PieceType>(field.value);
    }
  });
  if (piece.text.empty()) Refuse(place, "piece must not be empty");
  if (model_.pieces.size() >= kPiecesMax) {
    Refuse("pieces", fmt::format("must be at most {}", kPiecesMax));
  }
  model_.pieces.push_back(std::move(piece));
}

void Reader::ReadTrainer(std::string_view bytes) {
  constexpr std::array<std::string_view, 5> kKinds = {"", "unigram", "BPE", "word", "character"};
  const std::string place = "trainer_spec";
  std::uint64_t kind = 1;  // What a file that does not tell means: unigram.
  ForEachField(bytes, place, [&](const Field& field) {
    switch (field.number) {
      case 3:
        if (Is(field, kVarint, place)) kind = field.value;
        break;
      case 24:
        if (Is(field, kVarint, place) && field.value != 0) {
          Refuse(place, "treat_whitespace_as_suffix is not supported");
        }
        break;
      case 35:
        if (Is(field, kVarint, place)) model_.byte_fallback = field.value != 0;
        break;
      case 44:
        if (Is(field, kBytes, place)) model_.unknown_surface = field.bytes;
        break;
      case 46:
        if (Is(field, kBytes, place)) model_.bos_piece = field.bytes;
        break;
      case 47:
        if (Is(field, kBytes, place)) model_.eos_piece = field.bytes;
        break;
      default:
        break;
    }
  });
  if (kind == 2) return;
  Refuse(place,
         fmt::format(
             "model type must be BPE, got {}",
             kind >= 1 && kind < kKinds.size() ? std::string(kKinds[kind]) : std::to_string(kind)));
}

void Reader::ReadNormalizer(std::string_view bytes, bool denormalizer) {
  const std::string place = denormalizer ? "denormalizer_spec" : "normalizer_spec";
  std::string rule_name = "a custom one";
  bool maps_characters = false;
  ForEachField(bytes, place, [&](const Field& field) {
    if (field.number == 1 && Is(field, kBytes, place)) rule_name = field.bytes;
    if (field.number == 2 && Is(field, kBytes, place)) maps_characters = !field.bytes.empty();
    if (denormalizer || field.number < 3 || field.number > 5) return;
    bool* const flag = field.number == 3   ? &model_.add_dummy_prefix
                       : field.number == 4 ? &model_.remove_extra_whitespaces
                                           : &model_.escape_whitespaces;
    if (Is(field, kVarint, place)) *flag = field.value != 0;
  });
  if (maps_characters) {
    Refuse(place,
           fmt::format("normalisation must be \"identity\", got \"{}\"; train the model with "
                       "--normalization_rule_name=identity",
                       rule_name));
  }
}

Expected<SentencePieceModel> Reader::Read(std::string_view bytes) {
  bool has_trainer = false;
  ForEachField(bytes, "", [&](const Field& field) {
    if (field.number < 1 || field.number > 5 || !Is(field, kBytes, "")) return;
    if (field.number == 1) ReadPiece(field.bytes);
    if (field.number == 2) ReadTrainer(field.bytes);
    if (field.number == 3) ReadNormalizer(field.bytes, false);
    if (field.number == 5) ReadNormalizer(field.bytes, true);
    has_trainer = has_trainer || field.number == 2;
  });
  if (model_.pieces.empty()) Refuse("", "holds no piece");
  if (!has_trainer) Refuse("", "holds no trainer_spec, so the model's type is unknown");
  if (error_) return tl::unexpected(*error_);
  return std::move(model_);
}

}  // namespace

Expected<SentencePieceModel> ParseSentencePieceModel(const std::string& name,
                                                     std::string_view bytes) {
  return Reader(name).Read(bytes);
}

}  // namespace dashf::corpus
