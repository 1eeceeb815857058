#include "kit/fleet_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <set>
#include <utility>

#include "base/json.h"

namespace dashf::kit {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Time> ParseDate(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const Time time = std::chrono::system_clock::from_time_t(::timegm(&parts));
  return DateText(time) == text ? std::optional(time) : std::nullopt;  // No 30th of February.
}

Time Date(JsonReader& reader, std::string_view key) {
  const auto date = ParseDate(reader.String(key));
  if (!date && !reader.failed()) reader.Reject(key, "must be a date like 2027-11-28T14:00:00Z");
  return date.value_or(Time{});
}

bool IsSerial(const std::string& text) {
  return !text.empty() && text.size() <= 40 &&
         text.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

void ReadMember(JsonReader reader, std::set<std::string>* serials, FleetRecord* record) {
  Member member;
  const std::string name = reader.String("node");
  const auto node = runtime::ParseName(name);
  const bool sound =
      node && (node->role == runtime::Role::kCoordinator || runtime::CheckId("", node->id));
  if (!sound) reader.Reject("node", "must be coordinator, server/ID, user/ID or operator/ID");
  member.node = node.value_or(runtime::NodeId{});
  if (sound && record->Find(member.node) != nullptr) reader.Reject("node", "is there twice");
  reader.ForEach("certificates", [&](JsonReader each) {
    IssuedCertificate certificate;
    certificate.serial = each.String("serial");
    if (!IsSerial(certificate.serial)) {
      each.Reject("serial", "must be 1 to 40 hexadecimal digits in capitals");
    } else if (!serials->insert(certificate.serial).second) {
      each.Reject("serial", "is there twice");
    }
    certificate.until = Date(each, "until");
    if (each.HasValue("revoked")) certificate.revoked = Date(each, "revoked");
    each.RejectUnknownKeys();
    member.certificates.push_back(std::move(certificate));
  });
  if (member.certificates.empty()) reader.Reject("certificates", "must have one at least");
  reader.RejectUnknownKeys();
  record->members.push_back(std::move(member));
}

}  // namespace

std::string DateText(Time time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

const Member* FleetRecord::Find(const runtime::NodeId& node) const {
  const auto found = std::find_if(
      members.begin(), members.end(), [&](const Member& member) { return member.node == node; });
  return found == members.end() ? nullptr : &*found;
}

Member* FleetRecord::Find(const runtime::NodeId& node) {
  return const_cast<Member*>(std::as_const(*this).Find(node));
}

std::string WriteFleetRecord(const FleetRecord& record) {
  Json members = Json::array();
  for (const Member& member : record.members) {
    Json certificates = Json::array();
    for (const IssuedCertificate& one : member.certificates) {
      certificates.push_back({{"serial", one.serial},
                              {"until", DateText(one.until)},
                              {"revoked", one.revoked ? Json(DateText(*one.revoked)) : Json()}});
    }
    members.push_back({{"node", Name(member.node)}, {"certificates", std::move(certificates)}});
  }
  return DumpRows({{"schema", "dashf.fleet/1"}, {"name", record.name}, {"members", members}});
}

Expected<FleetRecord> ParseFleetRecord(const std::string& name, std::string_view bytes) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  FleetRecord record;
  std::set<std::string> serials;
  if (root.String("schema") != "dashf.fleet/1") root.Reject("schema", "must be dashf.fleet/1");
  record.name = root.String("name");
  if (!root.failed() && !runtime::CheckId("", record.name)) {
    root.Reject("name", "must be 1 to 48 letters, digits and hyphens");
  }
  root.ForEach("members", [&](JsonReader each) { ReadMember(each, &serials, &record); });
  const bool led =
      !record.members.empty() && record.members.front().node.role == runtime::Role::kCoordinator;
  if (!led) root.Reject("members", "must begin with the coordinator");
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return record;
}

}  // namespace dashf::kit
