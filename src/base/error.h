// Expected values and errors. Bad input, unreachable peers and failing disks are values of type
// Expected<T>; DASHF_CHECK guards only what our own mistake can break and stays on in release.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace dashf {

// What kind of failure it is; the command line turns it into its exit code (docs/exit-codes.md).
enum class ErrorKind {
  kUsage = 2,        // A flag or argument is wrong.
  kBadInput = 3,     // A file or a peer's message breaks a rule.
  kInfeasible = 4,   // The scenario admits no plan, or the plan breaks a limit.
  kNumerical = 6,    // A computation produced no usable number.
  kRoundFailed = 8,  // A training round did not finish for every user.
  kIdentity = 9,     // TLS or certificate identity.
  kIo = 10,          // A file, a disk or a socket failed.
};

struct Error {
  ErrorKind kind = ErrorKind::kBadInput;
  std::string where;  // The place: "scenario.json: users[3].tx_power_w_max", "--seed", "server s1".
  std::string message;  // The rule and the value: "must be > 0, got -1".

  std::string Text() const { return where.empty() ? message : where + ": " + message; }
};

template <class T>
using Expected = tl::expected<T, Error>;

inline tl::unexpected<Error> Fail(ErrorKind kind, std::string where, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(where), std::move(message)});
}

}  // namespace dashf
