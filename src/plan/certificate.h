// A certificate: data that proves no plan of a scenario has an SCR above scr_upper (docs/model.md
// (9), docs/certificates.md). Whoever finds it is not trusted: the proof is re-checked from this
// data alone.
#pragma once

#include <limits>
#include <variant>
#include <vector>

namespace dashf {

// What one server's shared resources cost the users, in score units; every price >= 0 and finite.
struct ServerPrices {
  double bandwidth_per_hz = 0.0;
  double power_per_w = 0.0;
  double clock_per_hz = 0.0;
  double slot = 0.0;  // Per admitted user; 0 where the server has no slot limit.
};

// A question about who is on one server. Every plan answers it one way.
struct UsersMax {  // Are at most so many users on the server?
  int users = 0;
};
struct UserWithin {  // Is this user on the server with a split in [split_min, split_max]?
  int user = 0;
  int split_min = 0;
  int split_max = 0;
};

// Cases that between them hold all sets of users that server `server` may have: a binary tree in
// preorder. A question is followed by the tree of its yes, then by the tree of its no; prices end a
// case. In a case, `slot` may be negative: who is on the server then earns it.
using CaseNode = std::variant<ServerPrices, UsersMax, UserWithin>;
struct ServerCases {
  int server = 0;
  std::vector<CaseNode> nodes;
};
inline constexpr int kCaseDepthMax = 64;  // Questions on the way to a case.

// A question about a whole plan: every plan of a box answers it one way (or, at the end itself,
// both).
struct PhaseAtMost {  // Do all users' phases of one kind end by then?
  int phase = 0;      // 0: the user's, 1: the server's.
  double end_s = 0.0;
};
struct UserOn {  // Is this user on this server (any: -1) with a split in [split_min, split_max]?
  int user = 0;
  int server = -1;
  int split_min = 0;
  int split_max = 0;
};
// Prices and weights as a box has them, for the plans that the answers so far leave. Choices of a
// user that they prove to be in no plan above scr_upper are out from here on; the `last` ones must
// prove that no plan is.
struct BranchBound {
  std::vector<ServerPrices> servers;
  std::vector<double> user_phase_weight_per_s;
  std::vector<double> server_phase_weight_per_s;
  bool last = true;
};
// A binary tree in preorder. A question is followed by the tree of its yes, then by the tree of its
// no; a bound that is not the last by what is left of its own tree.
using BranchNode = std::variant<BranchBound, PhaseAtMost, UserOn>;
inline constexpr int kBranchDepthMax = 200;            // Nodes on the way to a last bound.
inline constexpr std::size_t kBranchNodesMax = 40000;  // Of a box.

// The plans whose longest user phase and longest server phase lie in a box, and the multipliers
// that bound them. 0 <= min < max; max may be infinite.
struct DeadlineBox {
  double user_phase_s_min = 0.0;
  double user_phase_s_max = std::numeric_limits<double>::infinity();
  double server_phase_s_min = 0.0;
  double server_phase_s_max = std::numeric_limits<double>::infinity();
  std::vector<ServerPrices> servers;  // One per server, in the scenario's order.
  // alpha_n and beta_n >= 0, how much of the delay weight w_t user n's phases carry: one per user
  // with the makespan, none with the sum of delays. If their sum may exceed w_t the box's max
  // bounds the barrier, so an infinite max asks for a sum below w_t (by 1e-12 relative, to leave
  // room for rounding).
  std::vector<double> user_phase_weight_per_s;
  std::vector<double> server_phase_weight_per_s;
  // Optional. What serving each user is worth, of either sign: servers are then bounded one by one,
  // each by its own cases or, if `cases` does not name it, by its prices above. Empty: no cases.
  std::vector<double> user_worth = {};
  std::vector<ServerCases> cases = {};  // At most one of each server.
  // Optional: the box is proven by branches, of which this is the tree, and not by its own prices.
  // With the sum of delays none asks of deadlines, and no bound has weights. Empty: none.
  std::vector<BranchNode> branches = {};
};

// With the sum of delays there is exactly one box, [0, inf) x [0, inf); with the makespan the boxes
// together cover that quadrant.
struct Certificate {
  double scr_upper = 0.0;  // y > 0.
  std::vector<DeadlineBox> boxes;
};

}  // namespace dashf
