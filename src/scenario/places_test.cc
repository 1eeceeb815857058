#include "scenario/places.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>

#include "base/file.h"
#include "scenario/far_places.h"

namespace dashf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Write(std::string_view name, std::string_view text) {
  const std::string path = ::testing::TempDir() + "/" + std::string(name);
  EXPECT_TRUE(WriteFileAtomically(path, text));
  return path;
}

Expected<Places> Read(std::string_view sites, std::string_view users, const PlacesOptions& o = {}) {
  return ReadPlaces(Write("sites.csv", sites), Write("users.csv", users), o);
}

constexpr std::string_view kUser = "lat,lon\n1,2\n";

// One degree of latitude is 111.195 km on a sphere of 6371.0088 km; at 60 degrees south one of
// longitude is half of that.
TEST(Places, ProjectsDegreesToMetresAroundTheCentroid) {
  const auto read =
      Read("NAME,Longitude,LATITUDE\r\n\"a, \"\"b\"\"\",10,-60.001\r\nc,10,-59.999\r\n",
           "latitude,longitude\n-60,10.001\n-60,9.999\n\n");
  ASSERT_TRUE(read) << read.error().Text();
  const Geography& places = read->geography;
  ASSERT_EQ(places.servers.size(), 2u);
  ASSERT_EQ(places.users.size(), 2u);
  EXPECT_NEAR(places.servers[0].y_m, -111.195, 0.001);
  EXPECT_NEAR(places.servers[0].x_m, 0.0, 1e-6);
  EXPECT_NEAR(places.users[0].x_m, 111.195 / 2, 0.001);
  EXPECT_NEAR(places.users[1].x_m, -111.195 / 2, 0.001);
  EXPECT_EQ(places.server_equipment[0].name, "a, \"b\"");
  EXPECT_THAT(places.user_equipment, IsEmpty());
}

TEST(Places, The180thMeridianRunsThrough) {
  const auto read = Read("lat,lon\n0,179.999\n0,-179.999\n", "lat,lon\n0,180\n0,-180\n");
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_NEAR(read->geography.servers[1].x_m - read->geography.servers[0].x_m, 222.39, 0.01);
  EXPECT_NEAR(read->geography.users[0].x_m, 0.0, 1e-6);
  EXPECT_NEAR(read->geography.users[1].x_m, 0.0, 1e-6);
}

TEST(Places, MetresAreTakenAsTheyAreAndEquipmentReachesTheScenario) {
  const auto read = Read(
      "\xef\xbb\xbf"
      "id;name;x_m;y_m;tx_power_w;clock_hz;bandwidth_hz;slots;coverage_radius_m\r\n"
      "mast-1; Town hall ;+10;20;40;3e9;1e7;2;\r\nmast-2;;300;20;;;;;100\r\n",
      "user_id\tx_m\ty_m\ttx_power_w_max\tmemory_bytes\nana\t15\t25\t0.1\t2e9\nbo\t20\t20\t\t\n");
  ASSERT_TRUE(read) << read.error().Text();
  const auto scenario = GenerateAt(read->geography, 8, {}, Rng(1));
  ASSERT_TRUE(scenario) << scenario.error().Text();
  const Server &first = scenario->servers[0], &second = scenario->servers[1];
  EXPECT_EQ(Label(first), "mast-1 (Town hall)");
  EXPECT_EQ(Label(second), "mast-2");
  EXPECT_EQ(first.position_m.x_m, 10.0);
  EXPECT_EQ(first.tx_power_w_max, 40.0);
  EXPECT_EQ(first.compute.clock_hz_max, 3e9);
  EXPECT_EQ(first.bandwidth_hz, 1e7);
  EXPECT_EQ(first.slots, 2);
  EXPECT_EQ(second.bandwidth_hz, 20e6);  // The study's own.
  EXPECT_EQ(scenario->users[0].id, "ana");
  EXPECT_EQ(scenario->users[0].tx_power_w_max, 0.1);
  EXPECT_EQ(scenario->users[0].memory_bytes_max, 2e9);
  EXPECT_EQ(scenario->users[1].tx_power_w_max, 0.2);
  for (const auto& links : scenario->links) {  // The second mast's 100 m do not reach them.
    ASSERT_EQ(links.size(), 1u);
    EXPECT_EQ(links[0].server, 0);
  }
}

TEST(Places, ErrorsNameFileLineColumnRuleAndValue) {
  const auto error = [](std::string_view text) {
    const auto places = Read(text, kUser);
    return places ? "" : places.error().Text();
  };
  EXPECT_THAT(error("lat,lon\n1,2\n1,east\n"),
              AllOf(HasSubstr("sites.csv:3:3: "), HasSubstr("got \"east\"")));
  EXPECT_THAT(error("lat,lon\n91,2\n"),
              HasSubstr("sites.csv:2:1: must be in [-90, 90] (are latitude"));
  EXPECT_THAT(error("lat,lon\n1,181\n"), HasSubstr("sites.csv:2:3: must be in [-180, 180], got"));
  EXPECT_THAT(error("lat,lon\nnan,2\n"), HasSubstr("got \"nan\""));
  EXPECT_THAT(error("lat;lon\n37,8;2\n"), HasSubstr("with a decimal point, got \"37,8\""));
  EXPECT_THAT(error("lat,lon\n1\n"), HasSubstr("sites.csv:2:1: column 2 must have a coordinate"));
  EXPECT_THAT(error("lat,lon\n1,2,3\n"), HasSubstr("sites.csv:2:5: must have 2 fields"));
  EXPECT_THAT(error("north,east\n1,2\n"), HasSubstr("sites.csv:1:1: the header must have columns"));
  EXPECT_THAT(error("lat,latitude,lon\n1,1,2\n"),
              HasSubstr("sites.csv:1:5: there must be one column"));
  EXPECT_THAT(error("lat,lon,x_m\n1,2,3\n"), HasSubstr("one pair of the two"));
  EXPECT_THAT(error("lat,lon\n"), HasSubstr("at least one row"));
  EXPECT_THAT(error(""), HasSubstr("is empty"));
  EXPECT_THAT(error("id,lat,lon\na,1,2\nb,1,2\na,3,4\n"),
              HasSubstr("sites.csv:4:1: ids must differ, \"a\" is that of line 2"));
  EXPECT_THAT(error("id,lat,lon\n,1,2\n"), HasSubstr("must have an id"));
  EXPECT_THAT(error("id,lat,lon\na b,1,2\n"),
              AllOf(HasSubstr("sites.csv:2:1: must be 1 to 64"), HasSubstr("\"a b\"")));
  EXPECT_THAT(error("name,lat,lon\n\xe9t\xe9,1,2\n"), HasSubstr("bytes of UTF-8"));
  EXPECT_THAT(error("lat,lon,slots\n1,2,1.5\n"),
              HasSubstr("sites.csv:2:5: must be a whole number"));
  EXPECT_THAT(error("lat,lon,bandwidth_hz\n1,2,0\n"), HasSubstr("must be > 0"));
  // Another unit, or a user's quantity, is not passed over.
  EXPECT_THAT(error("lat,lon,Bandwidth MHz\n1,2,20\n"),
              HasSubstr("sites.csv:1:9: there is no such column of sites; there is bandwidth_hz"));
  EXPECT_THAT(error("lat,lon,tx_power_dbm\n1,2,23\n"), HasSubstr("there is tx_power_w"));
  EXPECT_THAT(error("lat,lon,memory_bytes\n1,2,23\n"),
              HasSubstr("there is memory_bytes, of users"));
  EXPECT_THAT(error("x_m,y_m\n1,2\n"), HasSubstr("users.csv: must have places in metres as"));
}

TEST(Places, ColumnsOfNoMeaningAndFarPlacesAreNamed) {
  const auto read = Read("id,lat,lon,state\na,1,2,x\nb,1.001,2,x\nc,1,2.001,x\nd,-33,2,x\n",
                         "lat,lon\n1,2\n1.2,2\n-33,2\n");
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_THAT(
      read->remarks,
      ElementsAre(HasSubstr("columns passed over: state"),
                  AllOf(HasSubstr("more than 5 km from every other site"), HasSubstr("line 5 (d)")),
                  AllOf(HasSubstr("more than 5 km from every site"), HasSubstr("line 3"))));
}

TEST(Places, InASparseNetworkDistanceIsNothingRemarkable) {
  std::vector<Position> road, users;
  for (int i = 0; i < 40; ++i) road.push_back({12e3 * i, 0.0});
  EXPECT_THAT(FindFarPlaces(road, users).sites, IsEmpty());
  EXPECT_EQ(FindFarPlaces(road, users).radius_m, 20e3);
  road.push_back({0.0, 3e6});
  EXPECT_THAT(FindFarPlaces(road, users).sites, ElementsAre(40u));
  EXPECT_THAT(FindFarPlaces(std::vector<Position>{{0, 0}}, users).sites, IsEmpty());
}

TEST(Places, ASampleIsDrawnBySeedInTheFilesOrderAndInItsMemory) {
  std::string users = "id,lat,lon\n";
  for (int i = 0; i < 5000; ++i) users += fmt::format("u{},1,{}\n", i, 1e-6 * i);
  const auto ids = [&](std::uint64_t seed) {
    const auto read = Read("lat,lon\n1,0\n", users, {.users_sample = 300, .seed = seed});
    std::vector<int> drawn;
    for (const Equipment& user : read.value().geography.user_equipment) {
      drawn.push_back(std::stoi(user.id.substr(1)));
    }
    return drawn;
  };
  const std::vector<int> first = ids(1);
  EXPECT_EQ(first.size(), 300u);
  EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(first, ids(1));
  EXPECT_NE(first, ids(2));
  double mean = 0.0;
  for (const int i : first) mean += i / 300.0;
  EXPECT_NEAR(mean, 2499.5, 5 * 5000 / std::sqrt(12.0 * 300));  // Five standard errors.
}

}  // namespace
}  // namespace dashf
