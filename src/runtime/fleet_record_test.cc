#include "runtime/fleet_record.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using fleet::Task;
using testing::HasSubstr;
using testing::Not;

// One user on one server, k = 1 of 2: 8 GFLOP at the user and 4 at the server.
Scenario OneUser() {
  Scenario scenario;
  scenario.profiles = {{.name = "p",
                        .local_flop = {0, 8e9, 9e9},
                        .server_flop = {9e9, 4e9, 0},
                        .upload_bit = {1, 1e6, 0},
                        .download_bit = {1, 1e6, 0},
                        .local_memory_bytes = {0, 0, 0}}};
  scenario.users.resize(1);
  scenario.users[0].id = "u0";
  return scenario;
}

fleet::Round Planned() {
  fleet::Round round;
  Task& task = round.tasks["u0"];
  task.attempt = 1;
  task.server = "s0";
  task.decision.local_layers = 1;
  task.predicted_s = {2.0, 1.0, 4.0, 1.0};
  return round;
}

TEST(EmulationOf, NamesThePhasesThatWereLateWithTheCoresThatTheyAskedForAndHad) {
  fleet::Round round = Planned();
  const Emulation emulation{.time_scale = 0.5, .machine_flop_per_s = 8e9};
  EXPECT_TRUE(EmulationOf(round, OneUser(), emulation)->late.empty());  // Nothing has ended.
  auto& measured = round.tasks["u0"].measured;
  measured["local"] = {1.04, 0.9, {}};   // Of 1 s: late by less than is said.
  measured["upload"] = {0.6, {}, 1000};  // Of 0.5 s.
  measured["server"] = {3.0, 2.7, {}};   // Of 2 s.
  const auto record = EmulationOf(round, OneUser(), emulation);
  ASSERT_EQ(record->late.size(), 2U);
  EXPECT_EQ(record->late[0].phase, "upload");
  EXPECT_FALSE(record->late[0].cores_asked || record->late[0].cores_had);
  const LatePhase& server = record->late[1];
  EXPECT_EQ(server.user, "u0");
  EXPECT_DOUBLE_EQ(server.planned_s, 2.0);
  EXPECT_DOUBLE_EQ(server.took_s, 3.0);
  EXPECT_DOUBLE_EQ(*server.cores_asked, 0.25);
  EXPECT_DOUBLE_EQ(*server.cores_had, 0.9);
  EXPECT_THAT(EmulationLine(*record),
              HasSubstr("; 2 phases were late by more than 5 %, the worst server of user u0: 3 s "
                        "instead of 2 s, with 0.90 cores for the 0.25 that it asked for"));
}

TEST(EmulationOf, SaysNothingOfLatenessWhereAllWasInTime) {
  fleet::Round round = Planned();
  round.tasks["u0"].measured["local"] = {1.0, 5.0, {}};
  const auto record = EmulationOf(round, OneUser(), {.time_scale = 0.5, .machine_flop_per_s = 8e9});
  EXPECT_THAT(EmulationLine(*record), Not(HasSubstr("late by")));
  EXPECT_FALSE(EmulationOf(round, OneUser(), {}));
}

}  // namespace
}  // namespace dashf::runtime
