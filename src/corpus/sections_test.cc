#include "corpus/sections.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"

namespace dashf::corpus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPackages =
    "Package: zebra\nSource: horses (1.2)\nVersion: 1\nSection: games\nDescription-md5: d1\n\n"
    "Package: apple\nSection: main/utils\nDescription-md5: d2\n\n"
    "Package: orphan\nSection: utils\nDescription-md5: d9\n\n"
    "Package: sectionless\nDescription-md5: d2\n\n"
    "Package: apple\nSection: mail\nDescription-md5: d1\n";
constexpr const char* kTranslations =
    "Package: zebra\nDescription-md5: d1\nDescription-en: striped game\n One line\n and more.\n .\n"
    " Next:\n  * first\n  * second\n\n"
    "Package: apple\nDescription-md5: d2\nDescription-en: a fruit\n\n"
    "Package: german\nDescription-md5: d3\nDescription-de: Birne\n";

TEST(AptLists, JoinNamesSectionsAndDescriptionsByDigest) {
  EXPECT_THAT(JoinPackages(kPackages, kTranslations),
              ElementsAre(Package{"apple", "apple", "utils", "a fruit", ""},
                          Package{"zebra",
                                  "horses",
                                  "games",
                                  "striped game",
                                  "One line and more.\nNext:\n* first\n* second"}));
  EXPECT_TRUE(JoinPackages("", "").empty());
  EXPECT_TRUE(JoinPackages("Package: a\nSection: b\nDescription-md5:",
                           "Description-md5:\nDescription-en: x")
                  .empty());
}

class ListsFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / fmt::format("dashf_lists_{}", ::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / name, text));
  }
  std::filesystem::path folder_;
};

constexpr const char* kPackagesName =
    "deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages";
constexpr const char* kTranslationName =
    "deb.example.org_debian_dists_bookworm_main_i18n_Translation-en";

TEST_F(ListsFolder, IsReadForDebian12MainAlone) {
  Write(kPackagesName, kPackages);
  Write(kTranslationName, kTranslations);
  Write("deb.example.org_debian_dists_trixie_main_binary-amd64_Packages",
        "Package: new\nSection: mail\nDescription-md5: d1\n");
  const auto packages = ReadPackages(folder_.string());
  ASSERT_TRUE(packages) << packages.error().Text();
  EXPECT_EQ(*packages, JoinPackages(kPackages, kTranslations));
}

TEST_F(ListsFolder, IsReadCompressed) {
  if (std::system("test -x /usr/lib/apt/apt-helper && command -v gzip > /dev/null") != 0) {
    GTEST_SKIP() << "needs apt-helper and gzip";
  }
  Write(kPackagesName, kPackages);
  Write(kTranslationName, kTranslations);
  ASSERT_EQ(std::system(fmt::format("gzip '{}'/*", folder_.string()).c_str()), 0);
  const auto packages = ReadPackages(folder_.string());
  ASSERT_TRUE(packages) << packages.error().Text();
  EXPECT_EQ(*packages, JoinPackages(kPackages, kTranslations));
  Write(std::string(kPackagesName) + ".xz", "not compressed");
  EXPECT_EQ(ReadPackages(folder_.string()).error().kind, ErrorKind::kIo);
}

TEST_F(ListsFolder, WithoutListsSaysHowToFetchThem) {
  for (const std::string& folder : {folder_.string(), folder_.string() + "/none"}) {
    const auto packages = ReadPackages(folder);
    ASSERT_FALSE(packages);
    EXPECT_EQ(packages.error().kind, ErrorKind::kIo);
    EXPECT_THAT(packages.error().Text(), HasSubstr("apt-get -o Acquire::Languages=en update"));
  }
  Write(kPackagesName, kPackages);
  EXPECT_THAT(ReadPackages(folder_.string()).error().Text(), HasSubstr("no English descriptions"));
}

// 12,000 packages of 4,000 sources; a source's packages carry its number in their names.
std::vector<Package> ManyPackages() {
  const std::vector<std::string> sections = {"science",
                                             "math",
                                             "net",
                                             "web",
                                             "games",
                                             "sound",
                                             "python",
                                             "perl",
                                             "utils",
                                             "admin",
                                             "fonts",
                                             "kde",
                                             "rust",
                                             "libs",
                                             "text",
                                             "doc",
                                             "oldlibs"};
  std::vector<Package> packages;
  for (int source = 0; source < 4000; ++source) {
    for (int binary = 0; binary < 3; ++binary) {
      packages.push_back(
          {fmt::format("p{}-{}", source, binary),
           fmt::format("s{}", source),
           sections[static_cast<std::size_t>(source + binary) % sections.size()],
           fmt::format("summary {}", binary),
           fmt::format(
               "Shared text of {}.\nPart {}: {}", source, binary, std::string(500, 'x') + " end")});
    }
  }
  return packages;
}

// "Package: p12-0\n..." -> "s12".
std::string SourceOf(const Record& record) {
  const std::size_t begin = std::string("Package: p").size();
  return fmt::format("s{}", record.input.substr(begin, record.input.find('-') - begin));
}

TEST(Sections, SplitBySourceSoThatNoTestRecordHasASiblingInTraining) {
  const auto data = MakeSections(ManyPackages(),
                                 {.users = 10, .train_records = 60, .test_records = 8, .seed = 3});
  ASSERT_TRUE(data) << data.error().Text();
  std::set<std::string> train, test;
  for (const SectionsUser& user : data->users) {
    ASSERT_EQ(user.train.size(), 60u);
    ASSERT_EQ(user.test.size(), 8u);
    for (const Record& record : user.train) train.insert(SourceOf(record));
    for (const Record& record : user.test) test.insert(SourceOf(record));
    std::set<std::string> own;
    for (const Record& record : user.train) EXPECT_TRUE(own.insert(SourceOf(record)).second);
  }
  for (const std::string& source : test) {
    EXPECT_TRUE(IsHeldOut(source));
    EXPECT_EQ(train.count(source), 0u) << source;
  }
}

TEST(Sections, GiveEachUserTheSectionsOfItsInterest) {
  const auto data = MakeSections(ManyPackages(),
                                 {.users = 10, .train_records = 60, .test_records = 8, .seed = 3});
  ASSERT_TRUE(data) << data.error().Text();
  EXPECT_EQ(data->users[8].interest, data->users[0].interest);  // Eight interests, round and round.
  std::set<std::string> own;
  for (const Record& record : data->users[0].train) own.insert(record.input);
  for (const Record& record : data->users[8].train) EXPECT_EQ(own.count(record.input), 0u);
  for (const SectionsUser& user : data->users) {
    for (const Record& record : user.train) {
      EXPECT_THAT(user.sections, testing::Contains(record.output));
      EXPECT_THAT(data->sections, testing::Contains(record.output));
    }
  }
  EXPECT_THAT(data->sections, Not(testing::Contains("oldlibs")));
}

TEST(Sections, KeepRecordsShort) {
  const auto data =
      MakeSections(ManyPackages(), {.users = 1, .train_records = 5, .test_records = 5, .seed = 3});
  ASSERT_TRUE(data);
  const Record& record = data->users[0].train[0];
  EXPECT_THAT(record.input, HasSubstr("\nSummary: summary "));
  EXPECT_THAT(
      record.input,
      testing::MatchesRegex("Package: .*\nSummary: .*\nShared text of [0-9]+. Part [0-9]:"));
}

TEST(Sections, AreTheSameForTheSameSeedAndDifferForAnother) {
  const auto lines = [](std::uint64_t seed) {
    const auto data = MakeSections(
        ManyPackages(), {.users = 3, .train_records = 20, .test_records = 5, .seed = seed});
    std::string text;
    for (const SectionsUser& user : data.value().users)
      text += WriteRecords(user.train) + WriteRecords(user.test);
    return text;
  };
  EXPECT_EQ(lines(1), lines(1));
  EXPECT_NE(lines(1), lines(2));
}

TEST(Sections, NameTheOptionOutOfRangeAndTheInterestThatDoesNotSuffice) {
  EXPECT_EQ(MakeSections({}, {.users = 0}).error().kind, ErrorKind::kUsage);
  EXPECT_EQ(MakeSections({}, {.test_records = -1}).error().Text(),
            "test_records: must be >= 1, got -1");
  const auto data =
      MakeSections(ManyPackages(), {.users = 9, .train_records = 1000000000, .test_records = 1});
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(data.error().Text(), HasSubstr("source packages to train on, needs 1000000000"));
}

TEST(PretrainingText, LeavesOutTestSourcesAndTellsEachParagraphOnce) {
  const std::vector<Package> packages = ManyPackages();
  const std::string text = PretrainingText(packages);
  std::set<std::string> held_out;
  for (const Package& package : packages) {
    if (IsHeldOut(package.source)) held_out.insert(package.source);
  }
  EXPECT_NEAR(static_cast<double>(held_out.size()), 400, 60);  // Binomial, sd 19: three of them.
  std::map<std::string, int> told;
  for (std::size_t at = 0; (at = text.find("Shared text of ", at)) != std::string::npos; ++at) {
    ++told[fmt::format("s{}", text.substr(at + 15, text.find('.', at) - at - 15))];
  }
  EXPECT_EQ(told.size(), 4000 - held_out.size());
  for (const auto& [source, times] : told) {
    EXPECT_EQ(times, 1) << source;
    EXPECT_EQ(held_out.count(source), 0u) << source;
  }
}

// A tenth of the packages are instructions; each of the others begins a document.
TEST(PretrainingText, IsDocumentsPartedByTwoEmptyLines) {
  const std::string text = PretrainingText(ManyPackages());
  int plain = 0, instructions = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find("\n\n\n", at);
    ASSERT_NE(end, std::string::npos);
    const std::string document = text.substr(at, end - at);
    EXPECT_THAT(document, HasSubstr("Package: p"));
    plain += document.starts_with("Package: p");
    instructions += document.starts_with("Below is an instruction");
    at = end + 3;
  }
  EXPECT_EQ(instructions, (plain + instructions + 9) / 10);
  EXPECT_GT(plain, 9000);
}

}  // namespace
}  // namespace dashf::corpus
