// Users and servers without model or data, all in this process, against a real coordinator over the
// real wire: mutual TLS, one session and one connection each, a report per phase. What they are
// told to do is done at once. Users do not talk to servers.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "runtime/authority.h"
#include "scenario/scenario.h"

namespace dashf::loadtest {

// What the fleet has come to: how many nodes, or users, have got so far.
struct Progress {
  std::size_t registered = 0;        // Nodes that have heard from the coordinator.
  std::vector<std::size_t> at_work;  // Users with an assignment, by round, the first at 0.
  std::vector<std::size_t> done;     // Users whose last report has been answered, by round.
  std::size_t broken_sessions = 0;
  std::string refusal;  // Why the coordinator has sent a node away; empty: it has not.
};

class LightFleet {
 public:
  // Connects all of the scenario's nodes, some at a time, to the coordinator at `address`.
  // `on_progress` is called for every node that gets somewhere, one call at a time, with the
  // fleet's lock held. The scenario must outlive the fleet.
  LightFleet(const std::string& address,
             const Scenario& scenario,
             const runtime::CertificateAuthority& authority,
             std::function<void(const Progress&)> on_progress);
  ~LightFleet();
  LightFleet(const LightFleet&) = delete;
  LightFleet& operator=(const LightFleet&) = delete;

  // Returns when `reached` holds, a node has been refused or the time is up: whether it holds.
  bool WaitUntil(const std::function<bool(const Progress&)>& reached, double seconds);
  Progress Now();

 private:
  class Node;
  class Stream;
  struct Shared;

  void Beat();  // Signs of life, and new streams for those that broke.

  const std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::thread beats_;
};

}  // namespace dashf::loadtest
