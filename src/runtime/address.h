// Where a node listens and where others find it: HOST:PORT, the host a name, an IPv4 address or an
// IPv6 address in brackets. What cannot work is refused when it is read, not when it is dialled.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf::runtime {

struct Address {
  std::string host;  // IPv6 without its brackets.
  int port = 0;      // 0 to 65535.
  enum class Kind { kName, kIpv4, kIpv6 } kind = Kind::kName;

  // 0.0.0.0 and ::, every address of the machine: somewhere to listen, nowhere to go.
  bool Wildcard() const;
  bool Loopback() const;     // 127.0.0.0/8, ::1 and localhost: this machine alone.
  std::string Text() const;  // As it was written, IPv6 in brackets.
};

// kBadInput with `where`, the rule and the text. Port 0 (listening: any free one) passes.
Expected<Address> ParseAddress(const std::string& where, std::string_view text);

// That others may be told of it: no wildcard, no port 0, no multicast or broadcast address, none
// that holds on one link only.
Expected<Address> ParseReachable(const std::string& where, std::string_view text);

// What others are told of a node that listens at `listen` and was given `port`: `advertise`, or the
// address it listens at.
std::vector<std::string> Advertised(const std::string& listen,
                                    int port,
                                    const std::vector<std::string>& advertise);

}  // namespace dashf::runtime
