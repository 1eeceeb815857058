// A coordinator's log with failpoints (failpoint.h) around each commit: `unlogged_WHAT`, where what
// has happened is lost, and `logged_WHAT`, where nobody has heard of it yet. WHAT is the event's
// kind, or the phase that has finished.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "fleet/codec.h"
#include "fleet/log.h"
#include "runtime/failpoint.h"

namespace dashf::runtime {

class FailpointLog final : public fleet::EventLog {
 public:
  FailpointLog(NodeId node, std::unique_ptr<fleet::EventLog> log)
      : node_(std::move(node)), log_(std::move(log)) {}

  Expected<void> Append(std::span<const fleet::LoggedEvent> events) override {
    Pass("unlogged", events);
    auto kept = log_->Append(events);
    if (kept) Pass("logged", events);
    return kept;
  }
  Expected<void> Snapshot(const fleet::State& state) override {
    Failpoint(node_, "unlogged_snapshot");
    auto kept = log_->Snapshot(state);
    Failpoint(node_, "logged_snapshot");
    return kept;
  }
  bool SnapshotIsDue() const override { return log_->SnapshotIsDue(); }

 private:
  void Pass(std::string_view side, std::span<const fleet::LoggedEvent> events) const {
    for (const fleet::LoggedEvent& logged : events) {
      const auto* report = std::get_if<fleet::PhaseFinished>(&logged.event);
      const auto what = report != nullptr ? fleet::Key(report->phase) : fleet::KindOf(logged.event);
      Failpoint(node_, fmt::format("{}_{}", side, what));
    }
  }

  const NodeId node_;
  const std::unique_ptr<fleet::EventLog> log_;
};

}  // namespace dashf::runtime
