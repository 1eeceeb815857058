#include "runtime/address.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

TEST(Address, NamesAndAddressesOfBothKindsAreTakenAndWrittenAsTheyWere) {
  for (const char* text : {"edge1.example.org:7443",
                           "edge_1:1",
                           "coordinator:65535",
                           "192.0.2.7:7443",
                           "[2001:db8::7]:7443",
                           "[::ffff:192.0.2.7]:7443",
                           "localhost:7443",
                           "127.0.0.1:7443",
                           "[::1]:7443"}) {
    const auto address = ParseReachable("advertise", text);
    ASSERT_TRUE(address) << address.error().Text();
    EXPECT_EQ(address->Text(), text);
  }
  EXPECT_EQ(ParseAddress("", "[2001:db8::7]:7443")->host, "2001:db8::7");
}

TEST(Address, OneMayListenEverywhereAndOnAnyFreePort) {
  EXPECT_TRUE(ParseAddress("listen", "0.0.0.0:7443")->Wildcard());
  EXPECT_TRUE(ParseAddress("listen", "[::]:0")->Wildcard());
  EXPECT_FALSE(ParseAddress("listen", "127.0.0.1:0")->Wildcard());
}

TEST(Address, WhatCannotWorkIsRefusedWithItsRule) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "the host is missing"},
      {":7443", "the host is missing"},
      {"edge1", "the port is missing"},
      {"edge1:", "the port is missing"},
      {"edge1:http", "a port from 0 to 65535"},
      {"edge1:-1", "a port from 0 to 65535"},
      {"edge1:+7443", "a port from 0 to 65535"},
      {"edge1:65536", "a port from 0 to 65535"},
      {"edge1:99999999999999999999", "a port from 0 to 65535"},
      {"edge1:7443 ", "a port from 0 to 65535"},
      {"edge 1:7443", "must be a host name"},
      {" edge1:7443", "must be a host name"},
      {"-edge1:7443", "must be a host name"},
      {"edge..x:7443", "must be a host name"},
      {"https://edge1:7443", "in brackets"},
      {"edge/1:7443", "must be a host name"},
      {"::1:7443", "an IPv6 address in brackets"},
      {"[::1]", "the port is missing"},
      {"[::1:7443", "must close its bracket"},
      {"[edge1]:7443", "an IPv6 address in brackets"},
      {"[fe80::1%eth0]:7443", "must have no zone"},
      {"192.0.2.256:7443", "four numbers up to 255"},
      {"192.0.2:7443", "four numbers up to 255"},
      {"7:7443", "four numbers up to 255"}};
  for (const auto& [text, rule] : wrong) {
    const auto address = ParseAddress("user.json: coordinator[0]", text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(address.error().Text(), HasSubstr("user.json: coordinator[0]: "));
    EXPECT_THAT(address.error().Text(), HasSubstr(rule)) << text;
  }
}

TEST(Address, NobodyIsToldOfAnAddressThatLeadsNowhere) {
  const std::pair<const char*, const char*> wrong[] = {
      {"edge1:0", "a port from 1"},
      {"0.0.0.0:7443", "not every one of the machine"},
      {"[::]:7443", "not every one of the machine"},
      {"0.1.2.3:7443", "this network"},
      {"255.255.255.255:7443", "broadcast"},
      {"224.0.0.1:7443", "multicast"},
      {"169.254.3.4:7443", "link-local"},
      {"[ff02::1]:7443", "multicast"},
      {"[fe80::1]:7443", "link-local"}};
  for (const auto& [text, rule] : wrong) {
    EXPECT_TRUE(ParseAddress("", text)) << text;
    const auto address = ParseReachable("advertise[1]", text);
    ASSERT_FALSE(address) << text;
    EXPECT_THAT(address.error().Text(), HasSubstr(rule)) << text;
  }
}

TEST(Address, OthersAreToldWhatIsAdvertisedOrElseWhereItListens) {
  const std::vector<std::string> told = {"edge1.example.org:17443", "[2001:db8::7]:7443"};
  EXPECT_EQ(Advertised("[::]:7443", 7443, told), told);
  EXPECT_EQ(Advertised("[::1]:0", 4711, {}), std::vector<std::string>{"[::1]:4711"});
}

}  // namespace
}  // namespace dashf::runtime
