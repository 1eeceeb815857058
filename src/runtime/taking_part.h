// The scenario of those who take part: what is the deployment's (places, gains, noise, objective)
// from its scenario file, what is the nodes' (devices, profiles) from what they say of themselves.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "dashf.pb.h"
#include "fleet/state.h"
#include "runtime/node.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// Of a hello, for the log: its capabilities as JSON. kBadInput names what breaks a rule; `layers`
// is the model's.
Expected<std::string> CapabilitiesOf(const NodeId& node, const v1::Hello& hello, int layers);
// Where a server's users reach it, by its report, in the order in which to try.
std::vector<std::string> AddressesIn(const std::string& report);

// The deployment's scenario with what its members have said of themselves; those of whom nothing is
// known are as they are in it.
class Deployment {
 public:
  explicit Deployment(Scenario scenario);

  // A member's report, as CapabilitiesOf wrote it; kBadInput if it is not one of this deployment.
  Expected<void> Hear(const NodeId& node, const std::string& report);

  // The log may know others, of an earlier scenario.
  bool Has(const NodeId& node) const { return place_.contains(node); }
  const Scenario& scenario() const { return scenario_; }
  // Where a server's users reach it, in the order in which to try; none: it has not said.
  const std::vector<std::string>& AddressesOf(const std::string& server) const;
  const SplitProfile* ProfileOf(const std::string& user) const;  // Null: it has no such user.

 private:
  Scenario scenario_;
  const int own_profiles_;  // The first of those that users have reported.
  std::map<NodeId, std::size_t> place_;
  std::map<std::string, std::vector<std::string>> addresses_;
};

// Which of a user's links count, as long as any of them is left.
struct Reach {
  std::string only;               // That to this server; empty: to any,
  std::set<std::string> avoided;  // but to these.

  bool Has(const std::string& server) const {
    return only.empty() ? !avoided.contains(server) : server == only;
  }
};
using Reaches = std::map<std::string, Reach>;  // By user.

// Users and servers by name, in the scenario's order; links between them alone. A user without any
// link is not in it, but in `unreachable`.
Scenario Among(const Scenario& scenario,
               const std::set<std::string>& users,
               const std::set<std::string>& servers,
               const Reaches& reaches,
               std::vector<std::string>* unreachable);

}  // namespace dashf::runtime
