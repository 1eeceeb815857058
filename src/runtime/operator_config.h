// dashf.operator/1: what an operator's program needs to know (docs/formats.md): who the operator
// is, which fleet, where its coordinator is, and the certificate. `dashf kit add operator` writes
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/identity.h"
#include "runtime/node.h"

namespace dashf::runtime {

inline constexpr char kOperatorFile[] = "operator.json";  // In an operator's folder.

struct OperatorConfig {
  NodeId node;  // Of role kOperator.
  std::string fleet;
  std::vector<std::string> coordinator;  // Where to try, in this order.
  CredentialPaths tls;
};

std::string WriteOperatorConfig(const OperatorConfig& config);
// Strict; relative paths are taken from the file's folder. kBadInput names file, place, rule and
// value.
Expected<OperatorConfig> ParseOperatorConfig(const std::string& name, std::string_view bytes);
// `path` is the file or its folder. Empty: the one in the working folder, or in the only folder
// there whose name begins with "operator-".
Expected<OperatorConfig> ReadOperatorConfig(const std::string& path);

}  // namespace dashf::runtime
