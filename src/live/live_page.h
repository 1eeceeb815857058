// The page that a coordinator serves of its fleet while it runs, and its metrics (docs/live.md). It
// reads what the coordinator shows (runtime/fleet_watch.h) on threads of its own; nothing that is
// asked of it changes anything, and the coordinator never waits for it.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/fleet_watch.h"
#include "runtime/node_config.h"

namespace dashf::live {

class LivePage {
 public:
  // Listens as `kit.live` says; kIo or kBadInput names the key or the file.
  static Expected<std::unique_ptr<LivePage>> Start(const runtime::CoordinatorKit& kit);
  // Readers have what was shown last, or half a second for it; the address's file is gone.
  virtual ~LivePage() = default;

  virtual const runtime::FleetWatch& watch() const = 0;  // For the coordinator.
  virtual const std::string& url() const = 0;            // Without the token.
};

}  // namespace dashf::live
