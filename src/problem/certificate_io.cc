#include "problem/certificate_io.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>

namespace dashf {
namespace {

using nlohmann::ordered_json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ordered_json RangeToJson(double min, double max) {
  return {min, std::isfinite(max) ? ordered_json(max) : ordered_json(nullptr)};
}

ordered_json PricesToJson(const std::vector<ServerPrices>& servers) {
  ordered_json prices = ordered_json::object();
  for (const auto& [key, member] : kPriceColumns) {
    ordered_json column = ordered_json::array();
    for (const ServerPrices& server : servers) column.push_back(server.*member);
    prices[std::string(key)] = std::move(column);
  }
  return prices;
}

ordered_json NodeToJson(const ServerPrices& prices) {
  ordered_json node = ordered_json::object();
  for (const auto& [key, member] : kPriceColumns) node[std::string(key)] = prices.*member;
  return node;
}
ordered_json NodeToJson(const UsersMax& question) {
  return {{"users_max", question.users}};
}
ordered_json NodeToJson(const UserWithin& question) {
  return {{"user", question.user}, {"splits", {question.split_min, question.split_max}}};
}

ordered_json CasesToJson(const std::vector<ServerCases>& all) {
  ordered_json servers = ordered_json::array();
  for (const ServerCases& cases : all) {
    ordered_json nodes = ordered_json::array();
    for (const CaseNode& node : cases.nodes) {
      nodes.push_back(std::visit([](const auto& one) { return NodeToJson(one); }, node));
    }
    servers.push_back({{"server", cases.server}, {"nodes", std::move(nodes)}});
  }
  return servers;
}

ordered_json NodeToJson(const BranchBound& bound) {
  return {{"prices", PricesToJson(bound.servers)},
          {"user_phase_weight_per_s", bound.user_phase_weight_per_s},
          {"server_phase_weight_per_s", bound.server_phase_weight_per_s},
          {"last", bound.last}};
}
ordered_json NodeToJson(const PhaseAtMost& question) {
  return {{"phase", question.phase == 0 ? "user" : "server"}, {"at_most_s", question.end_s}};
}
ordered_json NodeToJson(const UserOn& question) {
  return {{"user", question.user},
          {"server", question.server < 0 ? ordered_json(nullptr) : ordered_json(question.server)},
          {"splits", {question.split_min, question.split_max}}};
}

ordered_json BranchesToJson(const std::vector<BranchNode>& branches) {
  ordered_json nodes = ordered_json::array();
  for (const BranchNode& node : branches) {
    nodes.push_back(std::visit([](const auto& one) { return NodeToJson(one); }, node));
  }
  return nodes;
}

std::pair<double, double> ParseRange(JsonReader& box, std::string_view key) {
  double ends[2] = {0.0, kInfinity};
  std::size_t count = 0;
  box.ForEach(key, [&](const JsonReader& end) {
    const bool open = count == 1 && end.IsNull();
    if (count < 2 && !open) ends[count] = end.AsNumber(kNonNegative);
    ++count;
  });
  if (!box.failed() && (count != 2 || !(ends[0] < ends[1]))) {
    box.Reject(key, "must be [min, max] with min < max, or null for no max");
  }
  return {ends[0], ends[1]};
}

std::vector<double> ParseColumn(JsonReader& reader, std::string_view key, std::size_t length) {
  std::vector<double> column = reader.Numbers(key, kNonNegative);
  if (!reader.failed() && column.size() != length) {
    reader.Reject(key, fmt::format("must have {} entries, not {}", length, column.size()));
  }
  column.resize(length);
  return column;
}

int ParseIndex(JsonReader& reader, std::string_view key, std::size_t count) {
  return static_cast<int>(reader.Integer(key, 0, static_cast<std::int64_t>(count) - 1));
}

// [min, max] of the splits that the user has.
std::pair<int, int> ParseSplits(JsonReader& node, const Scenario& scenario, int of) {
  const User& user = scenario.users[static_cast<std::size_t>(of)];
  std::vector<int> splits;
  node.ForEach("splits", [&](const JsonReader& split) {
    splits.push_back(static_cast<int>(split.AsInteger(0, scenario.ProfileOf(user).layers())));
  });
  if (!node.failed() && (splits.size() != 2 || splits[0] > splits[1])) {
    node.Reject("splits", "must be [min, max] with min <= max");
  }
  splits.resize(2);
  return {splits[0], splits[1]};
}

CaseNode ParseNode(JsonReader node, const Scenario& scenario) {
  CaseNode parsed;
  if (node.Has("users_max")) {
    parsed = UsersMax{ParseIndex(node, "users_max", scenario.users.size() + 1)};
  } else if (node.Has("user")) {
    UserWithin question{.user = ParseIndex(node, "user", scenario.users.size())};
    std::tie(question.split_min, question.split_max) = ParseSplits(node, scenario, question.user);
    parsed = question;
  } else {
    ServerPrices prices;
    for (const auto& [key, member] : kPriceColumns) {
      prices.*member = node.Number(key, member == &ServerPrices::slot ? kFinite : kNonNegative);
    }
    parsed = prices;
  }
  node.RejectUnknownKeys();
  return parsed;
}

ServerCases ParseCases(JsonReader reader, const Scenario& scenario) {
  ServerCases cases{.server = ParseIndex(reader, "server", scenario.servers.size()), .nodes = {}};
  reader.ForEach("nodes",
                 [&](const JsonReader& node) { cases.nodes.push_back(ParseNode(node, scenario)); });
  reader.RejectUnknownKeys();
  return cases;
}

std::vector<ServerPrices> ParsePrices(JsonReader prices, const Scenario& scenario) {
  std::vector<ServerPrices> servers(scenario.servers.size());
  for (const auto& [key, member] : kPriceColumns) {
    const std::vector<double> column = ParseColumn(prices, key, servers.size());
    for (std::size_t m = 0; m < column.size(); ++m) servers[m].*member = column[m];
  }
  prices.RejectUnknownKeys();
  return servers;
}

// How many weights of each phase prices stand with.
std::size_t WeightsOf(const Scenario& scenario) {
  return scenario.objective.delay == DelayMode::kSum ? 0 : scenario.users.size();
}

BranchNode ParseBranch(JsonReader node, const Scenario& scenario) {
  BranchNode parsed;
  const std::size_t users = scenario.users.size(), weights = WeightsOf(scenario);
  if (node.Has("prices")) {
    BranchBound bound;
    bound.servers = ParsePrices(node.Object("prices"), scenario);
    bound.user_phase_weight_per_s = ParseColumn(node, "user_phase_weight_per_s", weights);
    bound.server_phase_weight_per_s = ParseColumn(node, "server_phase_weight_per_s", weights);
    bound.last = node.Boolean("last");
    parsed = std::move(bound);
  } else if (node.Has("phase")) {
    PhaseAtMost question;
    const std::string phase = node.String("phase");
    if (!node.failed() && phase != "user" && phase != "server") {
      node.Reject("phase", "must be \"user\" or \"server\"");
    }
    question.phase = phase == "server" ? 1 : 0;
    question.end_s = node.Number("at_most_s", kPositive);
    parsed = question;
  } else {
    UserOn question{.user = ParseIndex(node, "user", users)};
    if (node.HasValue("server")) {
      question.server = ParseIndex(node, "server", scenario.servers.size());
    }
    std::tie(question.split_min, question.split_max) = ParseSplits(node, scenario, question.user);
    parsed = question;
  }
  node.RejectUnknownKeys();
  return parsed;
}

DeadlineBox ParseBox(JsonReader reader, const Scenario& scenario) {
  DeadlineBox box;
  std::tie(box.user_phase_s_min, box.user_phase_s_max) = ParseRange(reader, "user_phase_s");
  std::tie(box.server_phase_s_min, box.server_phase_s_max) = ParseRange(reader, "server_phase_s");
  box.servers = ParsePrices(reader.Object("prices"), scenario);
  const std::size_t weights = WeightsOf(scenario);
  box.user_phase_weight_per_s = ParseColumn(reader, "user_phase_weight_per_s", weights);
  box.server_phase_weight_per_s = ParseColumn(reader, "server_phase_weight_per_s", weights);
  if (reader.Has("user_worth")) {
    box.user_worth = reader.Numbers("user_worth");
    if (!reader.failed() && box.user_worth.size() != scenario.users.size()) {
      reader.Reject(
          "user_worth",
          fmt::format(
              "must have {} entries, not {}", scenario.users.size(), box.user_worth.size()));
    }
    reader.ForEach("cases", [&](const JsonReader& cases) {
      box.cases.push_back(ParseCases(cases, scenario));
    });
  }
  if (reader.Has("branches")) {
    reader.ForEach("branches", [&](const JsonReader& node) {
      box.branches.push_back(ParseBranch(node, scenario));
    });
  }
  reader.RejectUnknownKeys();
  return box;
}

}  // namespace

ordered_json BoundToJson(const Certificate& certificate, double scr) {
  ordered_json boxes = ordered_json::array();
  for (const DeadlineBox& box : certificate.boxes) {
    ordered_json json = {
        {"user_phase_s", RangeToJson(box.user_phase_s_min, box.user_phase_s_max)},
        {"server_phase_s", RangeToJson(box.server_phase_s_min, box.server_phase_s_max)},
        {"prices", PricesToJson(box.servers)},
        {"user_phase_weight_per_s", box.user_phase_weight_per_s},
        {"server_phase_weight_per_s", box.server_phase_weight_per_s}};
    if (!box.user_worth.empty()) {
      json["user_worth"] = box.user_worth;
      json["cases"] = CasesToJson(box.cases);
    }
    if (!box.branches.empty()) json["branches"] = BranchesToJson(box.branches);
    boxes.push_back(std::move(json));
  }
  return {{"scr_upper", certificate.scr_upper},
          {"gap", (certificate.scr_upper - scr) / certificate.scr_upper},
          {"certificate", {{"boxes", std::move(boxes)}}}};
}

Certificate ParseBound(JsonReader bound, const Scenario& scenario) {
  Certificate certificate;
  certificate.scr_upper = bound.Number("scr_upper", kPositive);
  bound.NumberIfAny("gap");
  JsonReader data = bound.Object("certificate");
  data.ForEach("boxes", [&](const JsonReader& box) {
    certificate.boxes.push_back(ParseBox(box, scenario));
  });
  if (!data.failed() && certificate.boxes.empty()) data.Reject("boxes", "must not be empty");
  data.RejectUnknownKeys();
  bound.RejectUnknownKeys();
  return certificate;
}

}  // namespace dashf
