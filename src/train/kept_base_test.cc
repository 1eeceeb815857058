#include "train/kept_base.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <span>

#include "base/digest.h"
#include "base/file.h"
#include "train/compute.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TinyConfig;
using testing::TinyModel;

const llama::Storage kNf4 = llama::StorageOf(llama::Format::kNf4);

// All bytes of the weights as they are kept.
std::string BytesOf(const Model& model) {
  llama::Weights weights = model.weights();
  std::string bytes;
  for (const std::span<char> part : llama::Parts(&weights)) bytes.append(part.data(), part.size());
  return bytes;
}

// KeptBase goes by the time of a file's last change, which nobody can set back: it has to pass.
void LetAge() {
  const timespec pause{.tv_sec = 2, .tv_nsec = 100'000'000};
  ::nanosleep(&pause, nullptr);
}

// A model that is old enough to be kept, and an empty cache; made once for all tests.
class KeptBaseTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const std::string name : {"kept", "other"}) {
      ModelConfig config = TinyConfig();
      config.tied_embeddings = name == "other";
      ASSERT_TRUE(SaveModel(TinyModel(config, name.size()),
                            Precision::kBFloat16,
                            fs::path(::testing::TempDir()) / name));
    }
    LetAge();
  }
  void SetUp() override { fs::remove_all(cache_); }

  // What a start says, after checking that it has the weights that encoding gives.
  std::vector<std::string> Start(const fs::path& folder, const llama::Storage& storage = kNf4) {
    BaseCache cache{cache_, {}};
    const auto model = LoadModel(folder, storage, &cache);
    const auto fresh = LoadModel(folder, storage);
    EXPECT_TRUE(model && fresh);
    if (!model || !fresh) return {};
    EXPECT_EQ(BytesOf(*model), BytesOf(*fresh));
    EXPECT_EQ(model->config(), fresh->config());
    return cache.notes;
  }
  std::vector<std::string> Start() { return Start(model_); }

  fs::path OnlyFile() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(cache_)) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1U);
    return files.at(0);
  }

  const fs::path model_ = fs::path(::testing::TempDir()) / "kept";
  const fs::path other_ = fs::path(::testing::TempDir()) / "other";
  const fs::path cache_ = fs::path(::testing::TempDir()) / "cache" / "bases";
};

TEST_F(KeptBaseTest, SecondStartTakesWhatTheFirstEncoded) {
  for (const llama::Format format : {llama::Format::kNf4, llama::Format::kInt8}) {
    for (const fs::path& model : {model_, other_}) {
      EXPECT_THAT(Start(model, llama::StorageOf(format)),
                  ElementsAre(HasSubstr("kept encoded in")));
      EXPECT_THAT(Start(model, llama::StorageOf(format)), ElementsAre(HasSubstr("has it encoded")));
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(cache_), {}), 4);
}

TEST_F(KeptBaseTest, SecondStartNeedsNoWeightsOfTheModelButLooksAtThem) {
  Start();
  // What was kept is all that is read: a change there shows, if its digest agrees.
  std::string bytes = *ReadFile(OnlyFile());
  bytes[bytes.size() / 2] ^= 1;
  bytes.resize(bytes.size() - 64);
  bytes += Sha256Hex(bytes);
  ASSERT_TRUE(WriteFileAtomically(OnlyFile(), bytes));
  BaseCache cache{cache_, {}};
  const auto model = LoadModel(model_, kNf4, &cache);
  ASSERT_TRUE(model);
  EXPECT_THAT(cache.notes, ElementsAre(HasSubstr("has it encoded")));
  EXPECT_NE(BytesOf(*model), BytesOf(*LoadModel(model_, kNf4)));
}

TEST_F(KeptBaseTest, WhatIsNotEncodedIsNotKept) {
  for (const llama::Format format : {llama::Format::kFloat32, llama::Format::kBFloat16}) {
    EXPECT_THAT(Start(model_, llama::StorageOf(format)), ElementsAre());
  }
  EXPECT_FALSE(fs::exists(cache_));
}

TEST_F(KeptBaseTest, BrokenFilesAreSaidAndReplaced) {
  Start();
  const std::string good = *ReadFile(OnlyFile());
  const auto flipped = [&good](std::size_t at) {
    std::string bytes = good;
    bytes[at] ^= 0x10;
    return bytes;
  };
  const std::pair<std::string, const char*> broken[] = {
      {"", "is no encoded base"},
      {"not at all a base", "is no encoded base"},
      {flipped(18), "is no encoded base of this version"},
      {flipped(30), "is of other files"},
      {flipped(88), "is damaged"},
      {flipped(89), "is damaged"},
      {flipped(good.size() / 2), "is damaged"},
      {flipped(good.size() - 65), "is damaged"},
      {flipped(good.size() - 1), "is damaged"},
      {good.substr(0, good.size() - 1), "another length"},
      {good.substr(0, 88), "is no encoded base"},
      {good + "\n", "another length"},
  };
  for (const auto& [bytes, rule] : broken) {
    const fs::path file = OnlyFile();
    ASSERT_TRUE(WriteFileAtomically(file, bytes));
    EXPECT_THAT(Start(), ElementsAre(HasSubstr(rule), HasSubstr("kept encoded in")));
    EXPECT_EQ(*ReadFile(file), good);
  }
}

TEST_F(KeptBaseTest, AnothersFilesAreNotTaken) {
  Start(other_);
  const std::string foreign = *ReadFile(OnlyFile());
  fs::remove_all(cache_);
  Start();
  ASSERT_TRUE(WriteFileAtomically(OnlyFile(), foreign));
  EXPECT_THAT(Start(), ElementsAre(HasSubstr("is of other files"), HasSubstr("kept encoded")));
  ASSERT_EQ(::chmod(OnlyFile().c_str(), 0666), 0);
  EXPECT_THAT(Start(), ElementsAre(HasSubstr("this user alone"), HasSubstr("kept encoded")));
  EXPECT_THAT(Start(), ElementsAre(HasSubstr("has it encoded")));
}

// In place, to as many bytes, and with the time of the last writing set back: whatever a file
// system lets a program set.
TEST_F(KeptBaseTest, ModelThatChangesUnderItsPathIsEncodedAgain) {
  const fs::path folder = fs::path(::testing::TempDir()) / "changing";
  fs::remove_all(folder);
  fs::copy(model_, folder);
  EXPECT_THAT(Start(folder), ElementsAre(HasSubstr("younger than two seconds")));
  LetAge();
  Start(folder);
  EXPECT_THAT(Start(folder), ElementsAre(HasSubstr("has it encoded")));
  const std::string path = folder / "model.safetensors";
  struct stat before {};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  std::string bytes = *ReadFile(path);
  bytes[bytes.size() / 2] ^= 1;
  const int fd = ::open(path.c_str(), O_WRONLY);
  ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), std::ssize(bytes));
  ::close(fd);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_THAT(Start(folder), ElementsAre(HasSubstr("is of other files"), HasSubstr("younger")));
}

TEST_F(KeptBaseTest, CacheThatCannotBeWrittenCostsTheCacheAlone) {
  const fs::path in_the_way = fs::path(::testing::TempDir()) / "a_file";
  ASSERT_TRUE(WriteFileAtomically(in_the_way, "x"));
  for (const fs::path& folder : {in_the_way, in_the_way / "below", fs::path("/proc/none")}) {
    BaseCache cache{folder, {}};
    const auto model = LoadModel(model_, kNf4, &cache);
    ASSERT_TRUE(model);
    EXPECT_EQ(BytesOf(*model), BytesOf(*LoadModel(model_, kNf4)));
    EXPECT_THAT(cache.notes.back(), HasSubstr("not kept encoded"));
  }
}

// Which takes the first bytes alone, as a full disk does.
TEST_F(KeptBaseTest, DiskThatFillsUpCostsTheCacheAlone) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const std::vector<std::string> notes = Start();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignored);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("not kept encoded")));
  EXPECT_TRUE(fs::is_empty(cache_));
}

TEST_F(KeptBaseTest, WhatAKilledProcessLeftIsWrittenOver) {
  Start();
  const fs::path file = OnlyFile();
  fs::rename(file, file.string() + ".tmp");
  EXPECT_THAT(Start(), ElementsAre(HasSubstr("kept encoded")));
  EXPECT_EQ(OnlyFile(), file);
}

// If this fails, the meaning of kept numbers has changed: raise the version in kMagic
// (kept_base.cc), then state the new digest here.
TEST_F(KeptBaseTest, VersionStandsForTheEncoding) {
  std::vector<float> values(3 * 150);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * i % 257) / 64.0F - 2.0F;
  }
  std::string bytes;
  for (const llama::Format format : {llama::Format::kNf4, llama::Format::kInt8}) {
    llama::StoredMatrix matrix(format, 3, 150);
    matrix.Fill(0, {values.data(), 3, 150});
    std::vector<std::span<char>> parts;
    matrix.AppendParts(&parts);
    for (const std::span<char> part : parts) bytes.append(part.data(), part.size());
  }
  EXPECT_EQ(Sha256Hex(bytes), "1b194ee75e913b9fb9ffd9c5ec582b726617d0fd928c762555b633917ed0e87b");
}

TEST(DefaultBaseCache, FollowsTheBaseDirectorySpecification) {
  const auto with = [](const char* cache, const char* home) {
    ::setenv("XDG_CACHE_HOME", cache, 1);
    ::setenv("HOME", home, 1);
    return DefaultBaseCache();
  };
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  EXPECT_EQ(with("/a", "/b"), "/a/dashf");
  EXPECT_EQ(with("", "/b"), "/b/.cache/dashf");
  EXPECT_EQ(with("relative", "/b"), "/b/.cache/dashf");
  EXPECT_EQ(with("", ""), "");
  ::unsetenv("XDG_CACHE_HOME");
  ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace dashf::train
