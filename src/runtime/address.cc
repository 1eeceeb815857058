#include "runtime/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

namespace dashf::runtime {
namespace {

tl::unexpected<Error> Refuse(const std::string& where,
                             std::string_view rule,
                             std::string_view text) {
  return Fail(ErrorKind::kBadInput, where, fmt::format("{}, got '{}'", rule, text.substr(0, 300)));
}

bool IsDigit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Labels of 1 to 63 letters, digits, '-' and '_' (which names of containers have), 253 in all.
bool IsName(std::string_view host) {
  if (host.size() > 253) return false;
  if (host.ends_with('.')) host.remove_suffix(1);
  while (true) {
    const std::size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    const bool sound = !label.empty() && label.size() <= 63 && label.front() != '-' &&
                       label.back() != '-' &&
                       std::all_of(label.begin(), label.end(), [](unsigned char c) {
                         return std::isalnum(c) != 0 || c == '-' || c == '_';
                       });
    if (!sound) return false;
    if (dot == std::string_view::npos) break;
    host.remove_prefix(dot + 1);
  }
  return true;
}

// What resolvers read as a number: no name ends in a label of digits alone.
bool LooksLikeNumbers(std::string_view host) {
  const std::size_t dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return !last.empty() && std::all_of(last.begin(), last.end(), IsDigit);
}

std::optional<in_addr> Ipv4(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
  return address;
}

std::optional<in6_addr> Ipv6(const std::string& host) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return std::nullopt;
  return address;
}

// Why nobody can be told of this host; empty if they can.
std::string_view Unreachable(const Address& address) {
  if (address.Wildcard()) return "must be one address, not every one of the machine";
  if (address.kind == Address::Kind::kIpv4) {
    const std::uint32_t bits = ntohl(Ipv4(address.host)->s_addr);
    if (bits >> 28 >= 0xe) return "must not be a multicast, reserved or broadcast address";
    if (bits >> 24 == 0) return "must not be an address of 'this network'";
    if (bits >> 16 == 0xa9fe) return "must not be a link-local address";
  } else if (address.kind == Address::Kind::kIpv6) {
    const in6_addr bits = *Ipv6(address.host);
    if (IN6_IS_ADDR_MULTICAST(&bits)) return "must not be a multicast address";
    if (IN6_IS_ADDR_LINKLOCAL(&bits)) return "must not be a link-local address";
  }
  return "";
}

}  // namespace

bool Address::Wildcard() const {
  if (kind == Kind::kIpv4) return Ipv4(host)->s_addr == 0;
  if (kind == Kind::kName) return false;
  const in6_addr bits = *Ipv6(host);
  return IN6_IS_ADDR_UNSPECIFIED(&bits);
}

bool Address::Loopback() const {
  if (kind == Kind::kIpv4) return ntohl(Ipv4(host)->s_addr) >> 24 == 127;
  if (kind == Kind::kName) return host == "localhost";
  const in6_addr bits = *Ipv6(host);
  return IN6_IS_ADDR_LOOPBACK(&bits);
}

std::string Address::Text() const {
  return kind == Kind::kIpv6 ? fmt::format("[{}]:{}", host, port)
                             : fmt::format("{}:{}", host, port);
}

Expected<Address> ParseAddress(const std::string& where, std::string_view text) {
  Address address;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return Refuse(where, "must close its bracket", text);
    address.host = text.substr(1, end - 1);
    address.kind = Address::Kind::kIpv6;
    if (address.host.find('%') != std::string::npos) {
      return Refuse(where, "must have no zone (it names an interface of one machine)", text);
    }
    if (!Ipv6(address.host)) return Refuse(where, "must have an IPv6 address in brackets", text);
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    if (colon != text.rfind(':')) {
      return Refuse(where, "must be HOST:PORT, an IPv6 address in brackets", text);
    }
    address.host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? "" : text.substr(colon);
    if (address.host.empty()) return Refuse(where, "must be HOST:PORT, the host is missing", text);
    if (Ipv4(address.host)) {
      address.kind = Address::Kind::kIpv4;
    } else if (LooksLikeNumbers(address.host)) {
      return Refuse(where, "must be a name, or an IPv4 address of four numbers up to 255", text);
    } else if (!IsName(address.host)) {
      return Refuse(where, "must be a host name: letters, digits, hyphens and dots", text);
    }
  }
  if (!rest.starts_with(':') || rest.size() == 1) {
    return Refuse(where, "must be HOST:PORT, the port is missing", text);
  }
  rest.remove_prefix(1);
  const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), address.port);
  if (!IsDigit(rest.front()) || failed != std::errc{} || end != rest.data() + rest.size() ||
      address.port > 65535) {
    return Refuse(where, "must have a port from 0 to 65535", text);
  }
  return address;
}

Expected<Address> ParseReachable(const std::string& where, std::string_view text) {
  auto address = ParseAddress(where, text);
  if (!address) return address;
  if (address->port == 0) return Refuse(where, "must have a port from 1 to 65535", text);
  if (const auto reason = Unreachable(*address); !reason.empty()) {
    return Refuse(where, reason, text);
  }
  return address;
}

std::vector<std::string> Advertised(const std::string& listen,
                                    int port,
                                    const std::vector<std::string>& advertise) {
  if (!advertise.empty()) return advertise;
  auto address = ParseAddress("", listen);
  if (!address) return {};
  address->port = port;
  return {address->Text()};
}

}  // namespace dashf::runtime
