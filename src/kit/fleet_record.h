// dashf.fleet/1: who belongs to a fleet and which certificates its authority has issued to whom.
// The record is written before a certificate leaves, so that whatever is about can be revoked.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/node.h"

namespace dashf::kit {

using Time = std::chrono::system_clock::time_point;  // Whole seconds, in files and here.

struct IssuedCertificate {
  std::string serial;  // Hexadecimal.
  Time until;
  std::optional<Time> revoked;
};

struct Member {
  runtime::NodeId node;
  std::vector<IssuedCertificate> certificates;  // Oldest first, at least one.

  // Whether the node may be renewed with the key that it has: its last certificate is not revoked.
  bool Trusted() const { return !certificates.back().revoked; }
};

struct FleetRecord {
  std::string name;
  std::vector<Member> members;  // The coordinator first.

  Member* Find(const runtime::NodeId& node);
  const Member* Find(const runtime::NodeId& node) const;
};

std::string WriteFleetRecord(const FleetRecord& record);
// Strict. kBadInput names file, place, rule and value.
Expected<FleetRecord> ParseFleetRecord(const std::string& name, std::string_view bytes);

std::string DateText(Time time);  // "2027-11-28T14:00:00Z".

}  // namespace dashf::kit
