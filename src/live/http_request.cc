#include "live/http_request.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "runtime/address.h"

namespace dashf::live {
namespace {

constexpr std::size_t kTargetBytesMax = 1024;
constexpr std::size_t kParametersMax = 16;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent signs taken for what they mean; none: not printable ASCII, or no such thing.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(16 * high + low);
      i += 2;
    }
    if (c < 0x20 || c > 0x7e) return std::nullopt;
    decoded += c;
  }
  return decoded;
}

bool Climbs(std::string_view path) {
  if (path.find('\\') != std::string_view::npos) return true;
  if (path.find("//") != std::string_view::npos) return true;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view piece = path.substr(at, end - at);
    if (piece == "." || piece == "..") return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::optional<Request> ParseTarget(std::string_view target) {
  if (target.size() > kTargetBytesMax || !target.starts_with('/')) return std::nullopt;
  const std::size_t mark = target.find('?');
  auto path = Decoded(target.substr(0, mark));
  if (!path || Climbs(*path)) return std::nullopt;
  Request request{std::move(*path), {}};
  std::string_view rest = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto key = Decoded(pair.substr(0, equals));
    auto value = Decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!key || !value || request.query.size() == kParametersMax) return std::nullopt;
    request.query[std::move(*key)] = std::move(*value);
  }
  return request;
}

bool IsLoopbackHost(std::string_view host) {
  std::string text(host);
  const bool has_port = host.ends_with(']') ? false : host.rfind(':') != std::string_view::npos;
  if (!has_port) text += ":80";
  const auto address = runtime::ParseAddress("", text);
  return address && address->Loopback();
}

std::optional<std::string_view> CookieNamed(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

bool SameToken(std::string_view given, std::string_view token) {
  return given.size() == token.size() &&
         CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

}  // namespace dashf::live
