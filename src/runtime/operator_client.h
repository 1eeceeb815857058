// An operator's side of its talk with the coordinator (proto/operator.proto). Answers are JSON as
// the coordinator made it; what of it is for a terminal has to be made printable there.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/operator_config.h"

namespace dashf::runtime {

enum class Steering { kStart, kDrain, kExclude, kAdmit, kStop, kStopNow };

struct Steered {
  bool changed = false;  // Otherwise it was so before.
  std::string said;
};

// Errors: kIdentity (either side refuses a certificate, or this one is no operator's), kIo (nobody
// answers, or the answer makes no sense), kBadInput (the coordinator refuses what was asked).
class OperatorClient {
 public:
  using Json = nlohmann::ordered_json;

  // Checks the operator's own certificate and finds the address that answers.
  static Expected<OperatorClient> Connect(const OperatorConfig& config);
  OperatorClient(OperatorClient&&) noexcept;
  OperatorClient& operator=(OperatorClient&&) = delete;
  ~OperatorClient();

  Expected<Json> Status();
  Expected<Json> Nodes();                      // An array of rows, as those that follow.
  Expected<Json> Rounds(std::uint32_t last);   // Of the last so many.
  Expected<Json> Round(std::uint32_t number);  // Its users.
  Expected<Steered> Steer(Steering what, const std::string& node, const std::string& reason);
  // Calls `visit` for each event, in order, until it returns false.
  Expected<void> Logs(const std::string& node,
                      std::uint32_t lines,
                      bool follow,
                      const std::function<bool(const std::string&)>& visit);

 private:
  struct Connection;
  explicit OperatorClient(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace dashf::runtime
