#include "runtime/node_places.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class NodePlaces : public testing::Test {
 protected:
  NodePlaces() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    config_.node = UserNode("u3");
    config_.folder = folder_.string();
    config_.tls = {(folder_ / "ca.pem").string(),
                   (folder_ / "node.pem").string(),
                   (folder_ / "node.key").string(),
                   ""};
    config_.model_folder = "/srv/base";
    config_.user.train_path = (folder_ / "data/train.jsonl").string();
    config_.user.test_path = (folder_ / "data/test.jsonl").string();
    config_.user.adapter_folder = (folder_ / "adapter").string();
    config_.user.state_folder = (folder_ / "state").string();
    config_.telemetry_path = (folder_ / "telemetry.jsonl").string();
  }

  std::string Fault() const {
    const auto apart = CheckPlacesApart((folder_ / "node.json").string(), config_);
    return apart ? "" : apart.error().Text();
  }
  void Touch(const fs::path& path) const { ASSERT_TRUE(WriteFileAtomically(path, "{}")); }

  const fs::path folder_ = fs::path(testing::TempDir()) / "places";
  NodeConfig config_;
};

TEST_F(NodePlaces, FoldersThatANodeFillsAreItsOwnAlone) {
  EXPECT_EQ(Fault(), "");
  std::string& adapter = config_.user.adapter_folder;
  for (const auto& [place, said] : {std::pair("", "is folder"),
                                    {"..", "is a parent of folder"},
                                    {"data", "is a parent of user.train"},
                                    {"data/train.jsonl", "is user.train"},
                                    {"state", "is user.state_folder"}}) {
    adapter = (folder_ / place).lexically_normal().string();
    EXPECT_THAT(Fault(),
                AllOf(HasSubstr("node.json: user.adapter_folder: must be"), HasSubstr(said)))
        << place;
  }
  adapter = (folder_ / "state/adapter").string();  // Two that hold nobody else's.
  config_.telemetry_path = (folder_ / "state/telemetry.jsonl").string();
  EXPECT_EQ(Fault(), "");
  config_.user.state_folder = folder_.string();
  EXPECT_THAT(Fault(), HasSubstr("user.state_folder: must be a folder of its own"));
  config_.user.state_folder.clear();
  config_.server.spool_folder = folder_.parent_path().string();
  EXPECT_THAT(Fault(), HasSubstr("server.spool.folder: must be a folder of its own"));
}

TEST_F(NodePlaces, ALinkIsWhereItLeads) {
  fs::create_directory_symlink(folder_, folder_ / "link");
  config_.user.adapter_folder = (folder_ / "link").string();
  EXPECT_THAT(Fault(), HasSubstr("is folder"));
}

TEST_F(NodePlaces, AnAdaptersFolderHoldsNothingElse) {
  const fs::path adapter = folder_ / "adapter";
  EXPECT_TRUE(CheckAdapterFolder(adapter));
  fs::create_directories(adapter);
  EXPECT_TRUE(CheckAdapterFolder(adapter));
  Touch(adapter / "adapter_config.json");
  Touch(adapter / "adapter_model.safetensors");
  Touch(adapter / "adapter_model.safetensors.17.0.tmp");  // Of a crash.
  EXPECT_TRUE(CheckAdapterFolder(adapter));
  Touch(adapter / "thesis.txt");
  const auto refused = CheckAdapterFolder(adapter);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(refused.error().Text(),
              HasSubstr("adapter: is no adapter's folder: holds thesis.txt"));
  EXPECT_THAT(CheckAdapterFolder(adapter / "thesis.txt").error().Text(),
              HasSubstr("must be a folder"));
}

TEST_F(NodePlaces, WhereAnAdapterCannotBeWrittenIsToldBeforeAnyWork) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const fs::path closed = folder_ / "closed";
  fs::create_directories(closed);
  for (const auto rights : {fs::perms::owner_read | fs::perms::owner_exec, fs::perms::none}) {
    fs::permissions(closed, rights);
    for (const fs::path& adapter : {closed, closed / "adapter"}) {
      const auto refused = CheckAdapterFolder(adapter);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().kind, ErrorKind::kIo);
      EXPECT_THAT(refused.error().Text(), HasSubstr("Permission denied"));
    }
  }
  fs::permissions(closed, fs::perms::owner_all);
}

TEST_F(NodePlaces, PipesAndDevicesAreNoFiles) {
  EXPECT_TRUE(CheckPlainFiles(folder_ / "missing"));
  EXPECT_TRUE(CheckPlainFiles(folder_));
  ASSERT_EQ(::mkfifo((folder_ / "train.jsonl").c_str(), 0600), 0);
  for (const fs::path& path : {folder_, folder_ / "train.jsonl"}) {
    const auto refused = CheckPlainFiles(path);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(refused.error().Text(), HasSubstr("train.jsonl: must be a file, is a pipe"));
  }
  EXPECT_THAT(CheckPlainFiles("/dev/zero").error().Text(), HasSubstr("is a device"));
}

TEST_F(NodePlaces, ADiskWithoutRoomIsNamedWithBothFigures) {
  EXPECT_TRUE(CheckRoom(folder_ / "not/there/yet", 1.0));
  const auto refused = CheckRoom(folder_ / "run", 1e18);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kIo);
  EXPECT_THAT(refused.error().Text(), HasSubstr(" MB left, the run needs 1000000000000.0 MB"));
}

}  // namespace
}  // namespace dashf::runtime
