#include "scenario/gain_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/file.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Expected<GainMatrix> Read(std::string_view name,
                          std::string_view bytes,
                          GainUnit unit = GainUnit::kLinear) {
  const std::string path = ::testing::TempDir() + "/" + std::string(name);
  EXPECT_TRUE(WriteFileAtomically(path, bytes));
  return ReadGainMatrix(path, unit);
}

// As numpy.save() writes it: version 1.0, 64-byte aligned.
std::string Npy(std::string_view type,
                bool fortran,
                std::string_view shape,
                std::string_view data) {
  std::string dictionary = "{'descr': '" + std::string(type) +
                           "', 'fortran_order': " + (fortran ? "True" : "False") +
                           ", 'shape': " + std::string(shape) + ", }";
  dictionary.resize(117, ' ');
  dictionary += '\n';
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + dictionary + std::string(data);
}

// 1, 2, 3, 4, 5, 6 as big-endian float32.
constexpr std::string_view kBig(
    "\x3f\x80\0\0\x40\0\0\0\x40\x40\0\0\x40\x80\0\0\x40\xa0\0\0\x40\xc0\0\0", 24);

TEST(GainMatrix, ReadsCsvWithAndWithoutAHeaderAndDecibels) {
  const auto plain = Read("g.csv", "1e-9,2e-9\n0,3e-9\n").value();
  EXPECT_EQ(plain.users, 2u);
  EXPECT_EQ(plain.servers, 2u);
  EXPECT_THAT(plain.gains, ElementsAre(1e-9, 2e-9, 0.0, 3e-9));
  EXPECT_EQ(Read("g.csv", "s0;s1\n1e-9;2e-9\n0;3e-9\n").value().gains, plain.gains);
  const auto db = Read("g.csv", "-90 , -80\n-inf,-100\n", GainUnit::kDb).value();
  EXPECT_NEAR(db.At(0, 1), 1e-8, 1e-20);
  EXPECT_EQ(db.At(1, 0), 0.0);
}

TEST(GainMatrix, ReadsNumPysOrdersAndTypes) {
  EXPECT_THAT(Read("g.npy", Npy(">f4", false, "(3, 2)", kBig)).value().gains,
              ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Read("g.npy", Npy(">f4", true, "(3, 2)", kBig)).value().gains,
              ElementsAre(1, 4, 2, 5, 3, 6));
  const std::string wide("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40", 16);  // 1, 2 little-endian.
  EXPECT_THAT(Read("g.npy", Npy("<f8", false, "(1, 2)", wide)).value().gains, ElementsAre(1, 2));
}

TEST(GainMatrix, ErrorsNameThePlace) {
  const auto error = [](std::string_view name, std::string_view bytes) {
    const auto matrix = Read(name, bytes);
    return matrix ? "" : matrix.error().Text();
  };
  EXPECT_THAT(error("g.csv", "1,2\n3\n"), HasSubstr("g.csv:2:1: must have 2 gains"));
  EXPECT_THAT(error("g.csv", "1,-87\n"),
              HasSubstr("g.csv:1:3: must be a power gain >= 0 (0: no link), got -87"));
  EXPECT_THAT(error("g.csv", "1,nan\n"), HasSubstr("g.csv:1:3: must be a finite number"));
  EXPECT_THAT(error("g.csv", "s0,s1\n"), HasSubstr("must have a line per user"));
  EXPECT_THAT(error("g.csv", Npy(">f4", false, "(3, 2)", kBig)), HasSubstr("NumPy array"));
  EXPECT_THAT(error("g.npy", Npy(">f4", false, "(4, 2)", kBig)),
              HasSubstr("its shape (4, 2) is not that of the 6"));
  EXPECT_THAT(error("g.npy", Npy("<c8", false, "(3, 1)", kBig)), HasSubstr("abs(h)**2"));
  EXPECT_THAT(error("g.npy", Npy("<i4", false, "(3, 2)", kBig)), HasSubstr("float32 or float64"));
  EXPECT_THAT(error("g.npy", Npy("<f4", false, "(6,)", kBig)), HasSubstr("two dimensions"));
  EXPECT_THAT(error("g.npy", "\x93NUMPY"), HasSubstr("cut off"));
  const std::string nan("\x7f\xc0\0\0\x40\0\0\0", 8);
  EXPECT_THAT(error("g.npy", Npy(">f4", false, "(1, 2)", nan)),
              HasSubstr("g.npy[0, 0]: must be a power gain"));
}

TEST(GainMatrix, ReplacesTheChannelAndMustHaveTheScenariosShape) {
  GeneratorOptions options;
  options.gains = std::make_shared<const GainMatrix>(
      GainMatrix{.users = 3, .servers = 2, .gains = {1e-9, 0, 2e-9, 3e-9, 4e-9, 5e-9}});
  const auto scenario = GenerateStudy(3, 2, options, Rng(1));
  ASSERT_TRUE(scenario) << scenario.error().Text();
  ASSERT_EQ(scenario->links[0].size(), 1u);  // A gain of 0 is no link.
  EXPECT_EQ(scenario->links[2][1].gain, 5e-9);
  EXPECT_EQ(GenerateStudy(3, 2, options, Rng(1), 1)->links[2].size(), 1u);
  EXPECT_EQ(GenerateStudy(4, 2, options, Rng(1)).error().Text(),
            "gains: must be 4 users x 2 servers, are 3 x 2");
}

}  // namespace
}  // namespace dashf
