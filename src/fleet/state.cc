#include "fleet/state.h"

#include <algorithm>

namespace dashf::fleet {

std::string_view Name(Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return "local training";
    case Phase::kUpload:
      return "upload";
    case Phase::kServer:
      return "server training";
    case Phase::kDownload:
      return "download";
    case Phase::kVerify:
      return "verification";
  }
  return "";
}

std::string_view Key(Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return "local";
    case Phase::kUpload:
      return "upload";
    case Phase::kServer:
      return "server";
    case Phase::kDownload:
      return "download";
    case Phase::kVerify:
      return "verify";
  }
  return "";
}

std::string_view Name(Presence presence) {
  switch (presence) {
    case Presence::kNever:
      return "never seen";
    case Presence::kHere:
      return "here";
    case Presence::kAway:
      return "away";
    case Presence::kGone:
      return "gone";
  }
  return "";
}

std::string_view Name(Round::Stage stage) {
  switch (stage) {
    case Round::Stage::kGathering:
      return "gathering";
    case Round::Stage::kPlanning:
      return "planning";
    case Round::Stage::kRunning:
      return "running";
    case Round::Stage::kEnded:
      return "ended";
  }
  return "";
}

bool Round::Done() const {
  return !tasks.empty() && std::all_of(tasks.begin(), tasks.end(), [](const auto& entry) {
    return entry.second.state == Task::State::kDone;
  });
}

const Member* State::Find(const NodeId& node) const {
  if (node.role != Role::kUser && node.role != Role::kServer) return nullptr;
  const auto& members = node.role == Role::kUser ? users : servers;
  const auto found = members.find(node.id);
  return found == members.end() ? nullptr : &found->second;
}

Member* State::Find(const NodeId& node) {
  return const_cast<Member*>(std::as_const(*this).Find(node));
}

Phase FirstPhase(int local_layers, int trained_layers, int layers) {
  if (local_layers == 0) return Phase::kUpload;
  if (trained_layers != local_layers) return Phase::kLocal;
  return local_layers == layers ? Phase::kVerify : Phase::kUpload;
}

bool NeedsServer(const Task& task, int layers) {
  return task.decision.local_layers < layers && task.phase < Phase::kVerify;
}

std::size_t CountTakingPart(const std::map<std::string, Member>& members) {
  return static_cast<std::size_t>(std::count_if(
      members.begin(), members.end(), [](const auto& entry) { return entry.second.TakesPart(); }));
}

}  // namespace dashf::fleet
