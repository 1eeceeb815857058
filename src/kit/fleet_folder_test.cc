#include "kit/fleet_folder.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "runtime/revocation.h"

namespace dashf::kit {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Fleet : public testing::Test {
 protected:
  Fleet() {
    fs::remove_all(folder_);
    FleetPlan plan;
    plan.name = "demo";
    plan.addresses = {"coord.example.org:7440", "[2001:db8::1]:7440"};
    plan.machine_flop_per_s = 1e10;
    plan.model = "/srv/models/base";
    const auto made = FleetFolder::Init(folder_, plan);
    EXPECT_TRUE(made) << made.error().Text();
  }

  NewNode Server(const std::string& id) const {
    NewNode node;
    node.config.node = runtime::ServerNode(id);
    node.config.server.device.compute = {.clock_hz_max = 1e9, .flop_per_cycle = 8};
    node.config.server.device.bandwidth_hz = 1e6;
    node.config.server.device.tx_power_w_max = 1;
    node.config.server.listen = "[::]:7443";
    node.config.server.advertise = {"edge1.example.org:7443"};
    return node;
  }
  FleetFolder Open() const { return FleetFolder::Open(folder_).value(); }
  std::string Text(const std::string& file) const { return ReadFile(folder_ / file).value(); }

  const fs::path folder_ = fs::path(testing::TempDir()) / "fleet";
};

TEST_F(Fleet, ANodesFolderHasAllThatItNeeds) {
  FleetFolder fleet = Open();
  const auto issued = fleet.Add(Server("s0"));
  ASSERT_TRUE(issued) << issued.error().Text();
  const auto config =
      runtime::ReadNodeConfig((issued->folder / "node.json").string(), runtime::Role::kServer);
  ASSERT_TRUE(config) << config.error().Text();
  EXPECT_EQ(config->coordinator.size(), 2U);
  EXPECT_EQ(config->model_folder, "/srv/models/base");
  EXPECT_TRUE(runtime::LoadCredentials(config->tls, config->node));
  const auto left = issued->certificate.until - std::chrono::system_clock::now();
  EXPECT_GT(left, std::chrono::hours(24 * 364));
  EXPECT_EQ(fleet.List().back().fault, "");
}

TEST_F(Fleet, ALivePageThatOthersReachHasAToken) {
  FleetPlan plan;
  plan.name = "demo";
  plan.addresses = {"coord.example.org:7440"};
  plan.machine_flop_per_s = 1e10;
  plan.model = "/srv/models/base";
  for (const bool far : {false, true}) {
    fs::remove_all(folder_);
    plan.live = far ? "0.0.0.0:7480" : "127.0.0.1:7480";
    const auto made = FleetFolder::Init(folder_, plan);
    ASSERT_TRUE(made) << made.error().Text();
    const auto config = Open().Coordinator();
    ASSERT_TRUE(config) << config.error().Text();
    EXPECT_EQ(config->coordinator_kit.live.listen, plan.live);
    const fs::path token = folder_ / "coordinator/live-token";
    ASSERT_EQ(fs::exists(token), far);
    EXPECT_EQ(config->coordinator_kit.live.token_path.empty(), !far);
    if (!far) continue;
    EXPECT_EQ(fs::status(token).permissions() & fs::perms::mask, fs::perms(0600));
    EXPECT_EQ(Text("coordinator/live-token").size(), 33U);
  }
  fs::remove_all(folder_);
  plan.live = "nonsense";
  const auto made = FleetFolder::Init(folder_, plan);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().Text(), HasSubstr("coordinator_kit.live.listen: must be HOST:PORT"));
}

TEST_F(Fleet, TheRecordSurvivesItsFile) {
  {
    FleetFolder fleet = Open();
    ASSERT_TRUE(fleet.Add(Server("s0")));
    ASSERT_TRUE(fleet.Add(Server("s1")));
    ASSERT_TRUE(fleet.Revoke(runtime::ServerNode("s1")));
  }
  const std::string text = Text("fleet.json");
  const auto read = ParseFleetRecord("fleet.json", text);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteFleetRecord(*read), text);
  EXPECT_EQ(read->members.size(), 3U);
  EXPECT_FALSE(read->members.back().Trusted());
}

TEST_F(Fleet, ARevocationCoversEveryCertificateOfTheNodeAndNobodyElses) {
  FleetFolder fleet = Open();
  ASSERT_TRUE(fleet.Add(Server("s0")));
  ASSERT_TRUE(fleet.Add(Server("s1")));
  const std::string first = Text("server-s0/node.pem");
  ASSERT_TRUE(fleet.Renew(runtime::ServerNode("s0"), false, kNodeLife));
  const std::string second = Text("server-s0/node.pem");
  ASSERT_TRUE(fleet.Revoke(runtime::ServerNode("s0")));
  auto revoked = runtime::RevokedCertificates::Open(
      (folder_ / "coordinator/revoked.pem").string(), Text("authority/ca.pem"), [](auto&) {});
  ASSERT_TRUE(revoked) << revoked.error().Text();
  EXPECT_TRUE(revoked->Revoked(first));
  EXPECT_TRUE(revoked->Revoked(second));
  EXPECT_FALSE(revoked->Revoked(Text("server-s1/node.pem")));
  EXPECT_FALSE(fleet.Renew(runtime::ServerNode("s0"), false, kNodeLife));
  ASSERT_TRUE(fleet.Renew(runtime::ServerNode("s0"), true, kNodeLife));
  EXPECT_FALSE(revoked->Revoked(Text("server-s0/node.pem")));
}

TEST_F(Fleet, OnlyOneCommandAtATimeHasTheFolder) {
  const FleetFolder first = Open();
  const auto second = FleetFolder::Open(folder_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().Text(), HasSubstr("is in use by process "));
}

TEST_F(Fleet, WhatItsNodeWouldRefuseIsNotHandedOut) {
  FleetFolder fleet = Open();
  NewNode node = Server("s0");
  node.config.server.advertise = {"0.0.0.0:7443"};
  const auto issued = fleet.Add(node);
  ASSERT_FALSE(issued);
  EXPECT_THAT(issued.error().Text(), HasSubstr("node.json: server.advertise[0]"));
  EXPECT_FALSE(fs::exists(folder_ / "server-s0"));
  EXPECT_EQ(fleet.record().members.size(), 1U);
}

TEST_F(Fleet, ItsNameMayHaveAsManyLettersAsANodes) {
  FleetPlan plan;
  plan.addresses = {"coord.example.org:7440"};
  plan.machine_flop_per_s = 1e10;
  plan.model = "/srv/models/base";
  plan.name = std::string(48, 'a');
  const fs::path folder = fs::path(testing::TempDir()) / "longest";
  fs::remove_all(folder);
  const auto made = FleetFolder::Init(folder, plan);
  EXPECT_TRUE(made) << made.error().Text();
  plan.name += 'a';
  EXPECT_EQ(FleetFolder::Init(folder / "longer", plan).error().kind, ErrorKind::kBadInput);
}

TEST_F(Fleet, WhatLiesBesideItStays) {
  const fs::path folder = fs::path(testing::TempDir()) / "second", part = folder.string() + ".part";
  for (const fs::path& old : {folder, part}) fs::remove_all(old);
  FleetPlan plan;
  plan.name = "second";
  plan.addresses = {"coord.example.org:7440"};
  plan.machine_flop_per_s = 1e10;
  plan.model = "/srv/models/base";
  ASSERT_TRUE(WriteFileAtomically(part / "thesis.txt", "my only copy"));
  const auto refused = FleetFolder::Init(folder, plan);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().Text(), HasSubstr("second.part: is in the way: holds thesis.txt"));
  EXPECT_TRUE(fs::exists(part / "thesis.txt"));
  fs::rename(part / "thesis.txt", part / "fleet.json");  // As a crash leaves it.
  EXPECT_TRUE(FleetFolder::Init(folder, plan));
  EXPECT_FALSE(fs::exists(part));
  fs::create_directories(folder / ".notes.part");
  EXPECT_TRUE(FleetFolder::Open(folder));
  EXPECT_TRUE(fs::exists(folder / ".notes.part"));
}

TEST_F(Fleet, AnAuthoritysKeyThatOthersMayOpenIsWarnedOf) {
  const FleetFolder fleet = Open();
  EXPECT_FALSE(fleet.ExposedAuthority());
  fs::permissions(folder_ / "authority/ca.key", fs::perms::group_read, fs::perm_options::add);
  EXPECT_THAT(fleet.ExposedAuthority().value_or(""),
              HasSubstr("authority/ca.key: others may open"));
}

}  // namespace
}  // namespace dashf::kit
