// A fleet's folder: its authority, its record, and a folder per node with all that this node needs,
// to be copied to its machine.
//
//   FLEET/fleet.json           dashf.fleet/1
//   FLEET/authority/           ca.pem, ca.key
//   FLEET/coordinator/         node.json, node.pem, node.key, ca.pem, revoked.pem, unit, README
//   FLEET/server-s0/ ...       the same without revoked.pem
//   FLEET/operator-ada/        operator.json, node.pem, node.key, ca.pem, README
//
// Each change is made whole or not at all: a node's folder is prepared beside its place, then the
// record is written, then the folder is renamed; what a crash left between is finished, or removed,
// by the next command.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "kit/fleet_record.h"
#include "kit/node_folder.h"
#include "runtime/authority.h"
#include "runtime/folder_lock.h"
#include "runtime/node_config.h"

namespace dashf::kit {

inline constexpr std::chrono::hours kAuthorityLife(24 * 3650);
inline constexpr std::chrono::hours kNodeLife(24 * 365);

struct FleetPlan {
  std::string name;
  std::vector<std::string> addresses;  // Of the coordinator, as nodes reach it; at least one.
  std::string listen;                  // Empty: [::] and the port of the first address.
  std::string live;                    // HOST:PORT of the live page; empty: there is none.
  std::string scenario;                // dashf.scenario/1 as text; empty: there is none yet.
  std::string method = "prices";
  double handover_penalty = 0.0;  // As CoordinatorKit's,
  bool learn = true;              // and this.
  double gather_s = 600.0;        // How long a round waits for those who are not here.
  std::uint32_t rounds = 0;       // 0: without end.
  double machine_flop_per_s = 0.0;
  std::string model;  // Absolute, as each node's machine has it.
  runtime::TrainingSettings training;
  std::chrono::hours life = kNodeLife;
  Target target;
};

// A file that is copied into a node's folder.
struct CopiedFile {
  std::string name, text;
  bool secret = false;  // For its owner alone.
};

struct NewNode {
  runtime::NodeConfig config;  // Of the node: who it is and what its role needs; the rest is taken
                               // from the coordinator's.
  std::vector<CopiedFile> files;
  std::string needs;  // For the README.
  std::chrono::hours life = kNodeLife;
  Target target;
};

struct Issued {
  runtime::NodeId node;
  std::filesystem::path folder;
  IssuedCertificate certificate;
};

struct ListedNode {
  runtime::NodeId node;
  IssuedCertificate certificate;  // Its last.
  std::vector<std::string> addresses;
  std::string fault;  // What is wrong with its folder; empty: nothing.
};

class FleetFolder {
 public:
  // Makes it with authority and coordinator. kIo if there is anything at `folder`.
  static Expected<Issued> Init(const std::filesystem::path& folder, const FleetPlan& plan);

  // Holds the folder's lock. kBadInput if the record breaks a rule.
  static Expected<FleetFolder> Open(const std::filesystem::path& folder);

  // The coordinator's node file, as it is in its folder.
  Expected<runtime::NodeConfig> Coordinator() const;

  Expected<Issued> Add(const NewNode& node);
  // A person who may read and steer the fleet; `name` as a node's id.
  Expected<Issued> AddOperator(const std::string& name, std::chrono::hours life);
  // Another certificate, for the key that the node has or for a new one. kBadInput if what lies in
  // its folder is not what was issued, or if its key is no longer trusted.
  Expected<Issued> Renew(const runtime::NodeId& node, bool new_key, std::chrono::hours life);
  // All its certificates; the list in the coordinator's folder says so from then on. False if they
  // were revoked before: only the list is written anew.
  Expected<bool> Revoke(const runtime::NodeId& node);
  std::vector<ListedNode> List() const;

  // A warning, if others may open the authority's key.
  std::optional<std::string> ExposedAuthority() const;

  const FleetRecord& record() const { return record_; }
  std::filesystem::path FolderOf(const runtime::NodeId& node) const;

 private:
  FleetFolder(std::filesystem::path path, runtime::FolderLock lock, FleetRecord record)
      : path_(std::move(path)), lock_(std::move(lock)), record_(std::move(record)) {}
  using FolderWriter = std::function<Expected<void>(const std::filesystem::path& folder,
                                                    const runtime::Credentials& credentials)>;
  Expected<void> CheckNew(const runtime::NodeId& id) const;
  Expected<Issued> Enrol(const runtime::NodeId& id,
                         std::chrono::hours life,
                         const FolderWriter& write);
  Expected<void> FinishInterrupted();
  Expected<void> WriteRecord() const;
  Expected<runtime::CertificateAuthority> Authority() const;
  Expected<void> CheckIssued(Member& member) const;
  ListedNode Look(const Member& member) const;
  std::string LookAtFile(const Member& member, ListedNode* listed) const;  // What is wrong with it.

  std::filesystem::path path_;
  runtime::FolderLock lock_;
  FleetRecord record_;
};

}  // namespace dashf::kit
