// What a node is to do, as a function of the state: not a message that can be lost or come twice,
// but what holds until something else does. The shell sends a node its orders whenever they have
// changed and when its session begins.
#pragma once

#include "fleet/state.h"

namespace dashf::fleet {

struct UserOrders {
  enum class Kind { kRest, kWork, kLeave };

  Kind kind = Kind::kRest;
  bool success = true;  // kLeave: its last round ended well.
  std::string reason;   // For people: why it rests or leaves.
  // kWork:
  std::uint32_t round = 0;
  int attempt = 0;
  std::string server;
  Decision decision;
  Phase phase = Phase::kLocal;  // Where the coordinator believes it to be.
};

struct ServerOrders {
  struct Work {
    std::string user;
    std::uint32_t round = 0;
    int attempt = 0;
    Decision decision;
    bool uploaded = false;  // The user says that all of it has arrived.
  };

  bool leave = false;
  std::vector<Work> work;  // Of all users that it is to know; it forgets the others.
};

UserOrders OrdersOfUser(const State& state, const std::string& user);
ServerOrders OrdersOfServer(const State& state, const std::string& server);

}  // namespace dashf::fleet
