#include "study/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"

namespace dashf::study {
namespace {

using train::UserObjective;

Expected<void> Misread(std::string_view part) {
  return Fail(
      ErrorKind::kUsage,
      "--schedule",
      fmt::format("must be plain or a list of rounds=N, overlap=N, joint=SHARE, share=SHARE "
                  "and server-first, got {}",
                  part));
}

template <class Number>
Expected<void> ReadValue(std::string_view part, Number low, Number high, Number* value) {
  const std::string_view text = part.substr(part.find('=') + 1);
  const auto read = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return Misread(part);
  if (*value >= low && *value <= high) return {};
  return Fail(
      ErrorKind::kUsage, "--schedule", fmt::format("{} must be in [{}, {}]", part, low, high));
}

Expected<void> ReadPart(std::string_view part, Schedule* schedule) {
  if (part == "server-first") {
    schedule->server_first = true;
    return {};
  }
  if (part.starts_with("rounds=")) return ReadValue(part, 1, 10000, &schedule->rounds);
  if (part.starts_with("overlap=")) return ReadValue(part, 0, 10000, &schedule->overlap);
  if (part.starts_with("joint=")) return ReadValue(part, 0.0, 1.0, &schedule->joint);
  if (part.starts_with("share=")) return ReadValue(part, 0.0, 1.0, &schedule->user_share);
  return Misread(part);
}

// Phases of no steps vanish; a phase that goes on with what the last one did is part of it.
void Append(const Phase& phase, std::vector<Phase>* phases) {
  if (phase.steps == 0) return;
  if (!phases->empty()) {
    Phase extended = phases->back();
    extended.steps = phase.steps;
    if (extended == phase) {
      phases->back().steps += phase.steps;
      return;
    }
  }
  phases->push_back(phase);
}

}  // namespace

std::string Text(const std::vector<Phase>& phases, int layers) {
  std::string text;
  for (const Phase& phase : phases) {
    if (!text.empty()) text += ", ";
    if (phase.site == Site::kServer) {
      text += fmt::format("server {}-{} x{}", phase.k + 1, layers, phase.steps);
      continue;
    }
    const bool exit = phase.objective == UserObjective::kEarlyExit;
    text +=
        fmt::format("user 1-{} {} x{}", phase.k, exit ? "early_exit" : "full_depth", phase.steps);
  }
  return text;
}

Expected<Schedule> ParseSchedule(std::string_view text, double user_share) {
  Schedule schedule{.user_share = user_share};
  if (text == "plain") return schedule;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (auto read = ReadPart(text.substr(begin, end - begin), &schedule); !read) {
      return tl::unexpected(read.error());
    }
    begin = end + 1;
  }
  return schedule;
}

std::string Name(const Schedule& schedule, double user_share) {
  std::string name;
  const auto add = [&name](const std::string& part) { name += (name.empty() ? "" : ",") + part; };
  if (schedule.rounds != 1) add(fmt::format("rounds={}", schedule.rounds));
  if (schedule.overlap != 0) add(fmt::format("overlap={}", schedule.overlap));
  if (schedule.joint != 0.0) add(fmt::format("joint={}", schedule.joint));
  if (schedule.user_share != user_share) add(fmt::format("share={}", schedule.user_share));
  if (schedule.server_first) add("server-first");
  return name.empty() ? "plain" : name;
}

std::vector<Phase> PhasesOf(
    const Schedule& schedule, int k, int layers, UserObjective objective, int steps) {
  DASHF_CHECK(k >= 0 && k <= layers && steps >= 1);
  if (k == 0) return {{Site::kServer, 0, UserObjective::kFullDepth, steps}};
  // After the last layer, the early exit is the whole depth.
  if (k == layers) return {{Site::kUser, k, UserObjective::kFullDepth, steps}};
  const int joint = static_cast<int>(std::lround(schedule.joint * steps));
  const int users = static_cast<int>(std::lround(schedule.user_share * (steps - joint)));
  const int servers = steps - joint - users;
  const auto in_round = [&](int all, int round) {
    const auto until = [&](std::int64_t r) { return static_cast<int>(all * r / schedule.rounds); };
    return until(round + 1) - until(round);
  };
  std::vector<Phase> phases;
  for (int round = 0; round < schedule.rounds; ++round) {
    const Phase user{Site::kUser, k, objective, in_round(users, round)};
    const Phase server{Site::kServer,
                       std::max(0, k - schedule.overlap),
                       UserObjective::kFullDepth,
                       in_round(servers, round)};
    Append(schedule.server_first ? server : user, &phases);
    Append(schedule.server_first ? user : server, &phases);
  }
  Append({Site::kServer, 0, UserObjective::kFullDepth, joint}, &phases);
  return phases;
}

}  // namespace dashf::study
