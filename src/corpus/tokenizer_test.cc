#include "corpus/tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "base/rng.h"

namespace dashf::corpus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kTestData = DASHF_SOURCE_DIR "/src/corpus/testdata";

Tokenizer TestTokenizer() {
  auto tokenizer = Tokenizer::Load(kTestData);
  EXPECT_TRUE(tokenizer) << tokenizer.error().Text();
  return *std::move(tokenizer);
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// testdata/golden.tsv was made by spm_encode and spm_decode (testdata/make.py).
TEST(Tokenizer, GivesTheIdsAndTextsOfSentencePiece) {
  const Tokenizer tokenizer = TestTokenizer();
  std::ifstream golden(kTestData + "/golden.tsv");
  int cases = 0;
  for (std::string line; std::getline(golden, line); ++cases) {
    std::istringstream fields(line);
    std::string text, ids, decoded;
    std::getline(fields, text, '\t');
    std::getline(fields, ids, '\t');
    std::getline(fields, decoded, '\t');
    const std::vector<int> encoded = tokenizer.Encode(FromHex(text), false);
    EXPECT_EQ(fmt::format("{}", fmt::join(encoded, " ")), ids) << "text (hex) " << text;
    EXPECT_EQ(tokenizer.Decode(encoded), FromHex(decoded)) << "text (hex) " << text;
  }
  EXPECT_EQ(cases, 166);
}

TEST(Tokenizer, PutsBosInFrontWhereAskedAndKnowsTheControlPieces) {
  const Tokenizer tokenizer = TestTokenizer();
  EXPECT_EQ(tokenizer.unk_id(), 0);
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_EQ(tokenizer.vocab_size(), 420);
  EXPECT_EQ(tokenizer.Piece(1), "<s>");
  EXPECT_THAT(tokenizer.Encode("", true), ElementsAre(1));
  EXPECT_THAT(tokenizer.Encode("", false), IsEmpty());
  EXPECT_EQ(tokenizer.Decode(std::vector<int>{1, 2}), "");
}

TEST(Tokenizer, DecodesIdsOutsideTheVocabularyAsUnknown) {
  const Tokenizer tokenizer = TestTokenizer();
  const std::string unknown = tokenizer.Decode(std::vector<int>{tokenizer.unk_id()});
  EXPECT_EQ(unknown, " \xE2\x81\x87 ");
  EXPECT_EQ(tokenizer.Decode(std::vector<int>{-1, 420}), unknown + unknown);
}

std::string RandomText(Rng rng) {
  static const std::vector<std::string> parts = {"the",
                                                 " ",
                                                 "server",
                                                 "train",
                                                 "a",
                                                 "e",
                                                 "\xC3\xA9",
                                                 "\xF0\x9F\x99\x82",
                                                 "###",
                                                 "\n",
                                                 "12",
                                                 "layer"};
  std::string text;
  for (std::uint64_t n = rng.Below(40); n > 0; --n) text += parts[rng.Below(parts.size())];
  return text;
}

// With byte fallback and no removal of spaces nothing is lost.
TEST(Tokenizer, GivesBackEveryValidText) {
  const Tokenizer tokenizer = TestTokenizer();
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const std::string text = RandomText(Rng(seed));
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, true)), text) << "seed " << seed;
  }
}

// A protobuf writer of what the tests need.
std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Number(std::uint64_t field, std::uint64_t value) {
  return Varint(field << 3) + Varint(value);
}
std::string Bytes(std::uint64_t field, std::string_view bytes) {
  return Varint(field << 3 | 2) + Varint(bytes.size()) + std::string(bytes);
}
std::string PieceOf(std::string_view text, float score, int type) {
  std::string bytes = Bytes(1, text) + Varint(2 << 3 | 5);
  const auto* raw = reinterpret_cast<const char*>(&score);
  bytes.append(raw, sizeof score);
  return Bytes(1, bytes + Number(3, static_cast<std::uint64_t>(type)));
}
const std::string kUnknown = PieceOf("<unk>", 0, 2);
const std::string kBpe = Bytes(2, Number(3, 2));
// No dummy prefix, spaces stay.
const std::string kPlain = Bytes(3, Number(3, 0) + Number(4, 0));

std::vector<int> Ids(const std::string& model, std::string_view text) {
  const auto tokenizer = Tokenizer::Parse("m", model);
  EXPECT_TRUE(tokenizer) << tokenizer.error().Text();
  return tokenizer ? tokenizer->Encode(text, false) : std::vector<int>{};
}

TEST(Tokenizer, MergesTheBestPairFirstAndTheLeftmostOfEquals) {
  const std::string pieces = kUnknown + PieceOf("a", -9, 1) + PieceOf("b", -9, 1) +
                             PieceOf("ab", -2, 1) + PieceOf("ba", -1, 1) + PieceOf("aa", -3, 1);
  const std::string model = pieces + kBpe + kPlain;
  EXPECT_THAT(Ids(model, "aba"), ElementsAre(1, 4));  // "ba" scores above "ab".
  EXPECT_THAT(Ids(model, "aaa"), ElementsAre(5, 1));  // Two "aa": the left one.
  EXPECT_THAT(Ids(model, "abab"), ElementsAre(1, 4, 2));
}

TEST(Tokenizer, SplitsUnusedPiecesIntoThePartsTheyWereMergedFrom) {
  const std::string model = kUnknown + PieceOf("a", -9, 1) + PieceOf("b", -9, 1) +
                            PieceOf("ab", -1, 5) + PieceOf("abb", -2, 1) + kBpe + kPlain;
  EXPECT_THAT(Ids(model, "ab"), ElementsAre(1, 2));
  EXPECT_THAT(Ids(model, "abb"), ElementsAre(4));  // Merging may pass through an unused piece.
}

TEST(Tokenizer, MakesOneUnknownPieceOfARunOfUnknownCharacters) {
  const std::string model = kUnknown + PieceOf("a", -1, 1) + kBpe + kPlain;
  EXPECT_THAT(Ids(model, "xyzax"), ElementsAre(0, 1, 0));
}

TEST(Tokenizer, RemovesExtraSpacesWhereTheModelSaysSo) {
  const std::string space = "\xE2\x96\x81";
  const std::string model =
      kUnknown + PieceOf("a", -1, 1) + PieceOf(space, -1, 1) + kBpe + Bytes(3, Number(3, 1));
  EXPECT_THAT(Ids(model, "  a   a "), ElementsAre(2, 1, 2, 1));  // The first is the dummy prefix.
  EXPECT_THAT(Ids(model, "   "), IsEmpty());
}

// The straightforward algorithm: look at all neighbours again after each merge.
std::vector<std::string> MergeSlowly(const std::vector<std::pair<std::string, float>>& pieces,
                                     std::string_view text) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  for (;;) {
    std::size_t best = symbols.size();
    float best_score = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto it = std::ranges::find(
          pieces, symbols[i] + symbols[i + 1], [](const auto& p) { return p.first; });
      if (it == pieces.end() || (best < symbols.size() && it->second <= best_score)) continue;
      best = i;
      best_score = it->second;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Tokenizer, MergesAsTheStraightforwardAlgorithmDoes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    std::vector<std::pair<std::string, float>> pieces = {{"a", 0.F}, {"b", 0.F}, {"c", 0.F}};
    while (pieces.size() < 20) {
      const std::string joined =
          pieces[rng.Below(pieces.size())].first + pieces[rng.Below(pieces.size())].first;
      const auto known = [&](const auto& piece) { return piece.first == joined; };
      // Few distinct scores, so that ties are common.
      if (std::ranges::none_of(pieces, known))
        pieces.emplace_back(joined, -static_cast<float>(rng.Below(8)));
    }
    std::string model = kUnknown;
    for (const auto& [text, score] : pieces) model += PieceOf(text, score, 1);
    const auto tokenizer = Tokenizer::Parse("m", model + kBpe + kPlain);
    ASSERT_TRUE(tokenizer);
    std::string text;
    for (int i = 0; i < 60; ++i) text += static_cast<char>('a' + rng.Below(3));
    std::vector<std::string> merged;
    for (const int id : tokenizer->Encode(text, false)) merged.emplace_back(tokenizer->Piece(id));
    EXPECT_EQ(merged, MergeSlowly(pieces, text)) << "seed " << seed;
  }
}

std::string ErrorOf(const std::string& model) {
  const auto tokenizer = Tokenizer::Parse("m", model);
  if (tokenizer) return "accepted";
  EXPECT_EQ(tokenizer.error().kind, ErrorKind::kBadInput);
  return tokenizer.error().Text();
}

TEST(Tokenizer, RefusesByNameTheModelsItCannotRepresent) {
  EXPECT_EQ(ErrorOf(kUnknown + Bytes(2, "")),
            "m: trainer_spec: model type must be BPE, got unigram");
  EXPECT_THAT(ErrorOf(kUnknown + Bytes(2, Number(3, 3))), HasSubstr("got word"));
  EXPECT_THAT(ErrorOf(kUnknown + Bytes(2, Number(3, 77))), HasSubstr("got 77"));
  EXPECT_THAT(ErrorOf(kUnknown + kBpe + Bytes(3, Bytes(1, "nmt_nfkc") + Bytes(2, "map"))),
              HasSubstr("normalisation must be \"identity\", got \"nmt_nfkc\""));
  EXPECT_THAT(ErrorOf(kUnknown + Bytes(2, Number(3, 2) + Number(24, 1))),
              HasSubstr("treat_whitespace_as_suffix is not supported"));
}

TEST(Tokenizer, RefusesModelsThatBreakTheirOwnRules) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("holds no piece"));
  EXPECT_THAT(ErrorOf(kUnknown), HasSubstr("holds no trainer_spec"));
  EXPECT_THAT(ErrorOf(PieceOf("a", 0, 1) + kBpe), HasSubstr("has no unknown piece"));
  EXPECT_EQ(ErrorOf(kUnknown + PieceOf("a", 0, 1) + PieceOf("a", 0, 4) + kBpe),
            "m: pieces[2]: piece \"a\" stands twice");
  EXPECT_THAT(ErrorOf(kUnknown + PieceOf("<u>", 0, 2) + kBpe), HasSubstr("second unknown piece"));
  EXPECT_THAT(ErrorOf(kUnknown + PieceOf("", 0, 1) + kBpe),
              HasSubstr("pieces[1]: piece must not be empty"));
  EXPECT_EQ(ErrorOf(kUnknown + PieceOf("##\xEF", 0, 4) + kBpe),
            "m: pieces[1]: piece must be valid UTF-8");
  EXPECT_THAT(ErrorOf(kUnknown + PieceOf("a", 0, 7) + kBpe),
              HasSubstr("type must be in [1, 6], got 7"));
  EXPECT_THAT(ErrorOf(kUnknown + PieceOf("a", INFINITY, 1) + kBpe),
              HasSubstr("score must be finite"));
  EXPECT_THAT(ErrorOf(kUnknown + PieceOf("<0xfF>", 0, 6) + kBpe), HasSubstr("<0x00> to <0xFF>"));
  EXPECT_THAT(ErrorOf(kUnknown + Bytes(2, Number(3, 2) + Number(35, 1))),
              HasSubstr("not all 256 byte pieces"));
}

TEST(Tokenizer, RefusesBrokenProtobuf) {
  EXPECT_THAT(ErrorOf(std::string("\x0A\xFF", 2)), HasSubstr("not a whole protobuf message"));
  EXPECT_THAT(ErrorOf(std::string(11, '\xFF')), HasSubstr("not a whole protobuf message"));
  EXPECT_THAT(ErrorOf(std::string("\x0B", 1)),
              HasSubstr("not a whole protobuf message"));  // Group.
  EXPECT_THAT(ErrorOf(Number(1, 5)), HasSubstr("field 1 has wire type 0, must have 2"));
  // A length of 2^64 - 1 must not wrap around.
  EXPECT_THAT(ErrorOf(Varint(10) + Varint(~std::uint64_t{0}) + "abc"), HasSubstr("not a whole"));
}

TEST(Tokenizer, NamesTheFileThatIsMissing) {
  const auto tokenizer = Tokenizer::Load("/nonexistent");
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().kind, ErrorKind::kIo);
  EXPECT_THAT(tokenizer.error().Text(), HasSubstr("/nonexistent: there is no such model folder"));
}

// Whatever the bytes: an error, or a tokenizer whose ids lie in its vocabulary. The sanitizer build
// turns a step outside the file into a failure.
TEST(Tokenizer, SurvivesFlippedBytesAndCutFiles) {
  const auto model = ReadFile(kTestData + "/tokenizer.model");
  ASSERT_TRUE(model);
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    std::string bytes = *model;
    for (std::uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
      bytes[rng.Below(bytes.size())] ^= static_cast<char>(1 + rng.Below(255));
    }
    if (rng.Below(4) == 0) bytes.resize(rng.Below(bytes.size()));
    const auto tokenizer = Tokenizer::Parse("m", bytes);
    if (!tokenizer) {
      EXPECT_EQ(tokenizer.error().kind, ErrorKind::kBadInput) << "seed " << seed;
      continue;
    }
    const std::vector<int> ids = tokenizer->Encode(RandomText(rng) + "\xFF\xE2\x96", true);
    for (const int id : ids)
      EXPECT_TRUE(id >= 0 && id < tokenizer->vocab_size()) << "seed " << seed;
    EXPECT_LE(tokenizer->Decode(ids).size(), 10000u);
  }
}

// Lines of words, controls, every kind of script and broken UTF-8, without line ends.
std::string HostileLine(Rng rng) {
  static const std::vector<std::string> parts = {"Once upon a time",
                                                 "the ",
                                                 "  ",
                                                 "\t",
                                                 "\r",
                                                 "\xE2\x96\x81",
                                                 "<s>",
                                                 "<0x41>",
                                                 "\xC3\xA9",
                                                 "e\xCC\x81",
                                                 "\xED\x95\x9C\xEA\xB5\xAD",
                                                 "\xE6\xBC\xA2\xE5\xAD\x97",
                                                 "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7",
                                                 "\xEF\xBB\xBF",
                                                 "\xC2\xA0",
                                                 "12345",
                                                 "\x01",
                                                 "\x7F",
                                                 "\xE2\x80\xA8",
                                                 "\xEF\xAC\x81",
                                                 "\xEF\xBF\xBD",
                                                 "library"};
  std::string line;
  for (std::uint64_t n = rng.Below(25); n > 0; --n) {
    if (rng.Below(5) == 0) {
      const char byte = static_cast<char>(rng.Next());
      line += byte == '\n' ? ' ' : byte;
    } else {
      line += parts[rng.Below(parts.size())];
    }
  }
  return line;
}

void ExpectSpmEncodesAlike(const std::string& model_dir) {
  const auto tokenizer = Tokenizer::Load(model_dir);
  ASSERT_TRUE(tokenizer) << tokenizer.error().Text();
  const auto folder = std::filesystem::path(testing::TempDir());
  const std::string input = (folder / fmt::format("dashf_spm_{}.txt", ::getpid())).string();
  const std::string output = (folder / fmt::format("dashf_spm_{}.ids", ::getpid())).string();
  std::string lines, expected;
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    const std::string line = HostileLine(Rng(seed));
    lines += line + "\n";
    expected += fmt::format("{}\n", fmt::join(tokenizer->Encode(line, false), " "));
  }
  ASSERT_TRUE(WriteFileAtomically(input, lines));
  const std::string command =
      fmt::format("spm_encode --model='{}/tokenizer.model' --output_format=id '{}' > '{}'",
                  model_dir,
                  input,
                  output);
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(ReadFile(output).value(), expected);
  std::filesystem::remove(input);
  std::filesystem::remove(output);
}

TEST(Tokenizer, AgreesWithSpmEncodeOnThousandsOfHostileLines) {
  if (std::system("command -v spm_encode > /dev/null") != 0) {
    GTEST_SKIP() << "needs spm_encode (Debian: sentencepiece)";
  }
  ExpectSpmEncodesAlike(kTestData);
  const char* set = std::getenv("DASHF_SHARED_DATA");
  const std::string shared = set != nullptr ? set : DASHF_SOURCE_DIR "/../shared/data";
  if (std::filesystem::exists(shared + "/stories260K/tokenizer.model")) {
    ExpectSpmEncodesAlike(shared + "/stories260K");
  }
}

}  // namespace
}  // namespace dashf::corpus
