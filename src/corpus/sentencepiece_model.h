// The file `tokenizer.model`: SentencePiece's ModelProto (sentencepiece_model.proto), read by hand
// from the protobuf wire format because the distribution's own library cannot share a process with
// libtorch or gRPC. Only what encoding and decoding need is kept.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf::corpus {

// The names and numbers of ModelProto.SentencePiece.Type.
enum class PieceType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct SentencePiece {
  std::string text;
  float score = 0.0F;  // Of merges: the highest goes first. Finite.
  PieceType type = PieceType::kNormal;
};

struct SentencePieceModel {
  std::vector<SentencePiece> pieces;  // Not empty; the index is the id.
  bool byte_fallback = false;         // Unknown characters become their bytes' pieces.
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string unknown_surface = " \xE2\x81\x87 ";  // What an unknown piece decodes to.
  bool add_dummy_prefix = true;                    // A space in front of every text.
  bool remove_extra_whitespaces = true;            // Runs, heads and tails of spaces.
  bool escape_whitespaces = true;                  // A space is U+2581 inside pieces.
};

// kBadInput names the place and the rule; kinds of model and of normalisation that are not
// supported are refused by name. `name` is the place that errors name.
Expected<SentencePieceModel> ParseSentencePieceModel(const std::string& name,
                                                     std::string_view bytes);

}  // namespace dashf::corpus
