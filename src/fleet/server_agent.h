// What a server's process decides, without doing it: orders, uploads and outcomes in, effects out.
// What it remembers lies in its spool, beside the artefacts.
#pragma once

#include <map>
#include <set>
#include <variant>

#include "fleet/user_agent.h"

namespace dashf::fleet {

struct SpoolEntry {  // One user's attempt.
  enum class Stage { kExpected, kUploaded, kTrained, kFailed };

  std::uint32_t round = 0;
  int attempt = 0;
  Decision decision;
  Stage stage = Stage::kExpected;
  Outcome outcome;  // Of the training; failures of any kind.
  bool reported = false;
};

struct SaveEntry {  // Durably; or remove it if it is there no more.
  std::string user;
};
struct Train {
  std::string user;
};
struct CancelTraining {
  std::string user;
};
struct ReportTraining {  // The entry's outcome.
  std::string user;
};
using ServerEffect = std::variant<SaveEntry, Train, CancelTraining, ReportTraining>;

class ServerAgent {
 public:
  explicit ServerAgent(std::map<std::string, SpoolEntry> spool) : spool_(std::move(spool)) {}

  const std::map<std::string, SpoolEntry>& spool() const { return spool_; }
  // May this user upload, or download, as of this attempt? Nullptr: not known here (yet).
  const SpoolEntry* Find(const std::string& user, std::uint32_t round, int attempt) const;

  std::vector<ServerEffect> OnOrders(const ServerOrders& orders);
  std::vector<ServerEffect> OnUploaded(const std::string& user);  // Its artefacts are durable.
  // The trained layers, if it went well, are durable.
  std::vector<ServerEffect> OnOutcome(const std::string& user,
                                      std::uint32_t round,
                                      int attempt,
                                      const Outcome& outcome);
  std::vector<ServerEffect> OnReported(const std::string& user,
                                       std::uint32_t round,
                                       int attempt,
                                       Verdict verdict);
  PhaseFinished ReportOf(const std::string& user) const;

 private:
  std::vector<ServerEffect> Forget(const std::string& user);

  std::map<std::string, SpoolEntry> spool_;
  std::set<std::string> training_;
};

}  // namespace dashf::fleet
