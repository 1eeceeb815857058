// What a request may say: strict, for whoever reaches the port may say anything.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "live/http_server.h"

namespace dashf::live {

// A request's target ("/rounds/7?last=3"); none: it is no such path, climbs, has control characters
// or others than ASCII, or a query that is none.
std::optional<Request> ParseTarget(std::string_view target);

// Whether a Host header names this machine by an address, or as localhost: a page of another
// site that has its name point here (DNS rebinding) sends that name.
bool IsLoopbackHost(std::string_view host);

// The value of a cookie in a Cookie header; none: it has none of that name.
std::optional<std::string_view> CookieNamed(std::string_view header, std::string_view name);

// In a time that does not tell how much of it is right.
bool SameToken(std::string_view given, std::string_view token);

}  // namespace dashf::live
