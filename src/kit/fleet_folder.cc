#include "kit/fleet_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/printable.h"
#include "runtime/address.h"
#include "runtime/back_off.h"
#include "runtime/operator_config.h"

namespace dashf::kit {
namespace {

namespace fs = std::filesystem;
using runtime::CertificateAuthority;
using runtime::Credentials;
using runtime::FileStem;
using runtime::NodeConfig;
using runtime::NodeId;
using runtime::Role;

constexpr char kRecord[] = "fleet.json";
constexpr char kNodeFile[] = "node.json";
constexpr char kCertificate[] = "node.pem";
constexpr char kKey[] = "node.key";
constexpr char kAuthority[] = "ca.pem";
constexpr char kAuthorityKey[] = "ca.key";
constexpr char kRevoked[] = "revoked.pem";
constexpr char kLiveToken[] = "live-token";

std::string RandomToken() {
  return fmt::format("{:016x}{:016x}", runtime::RandomNumber(), runtime::RandomNumber());
}

tl::unexpected<Error> IoFailed(const fs::path& path, const std::error_code& failed) {
  return Fail(ErrorKind::kIo, path.string(), failed.message());
}

Expected<void> MakePrivate(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!failed) fs::permissions(folder, fs::perms::owner_all, failed);
  if (failed) return IoFailed(folder, failed);
  return {};
}

Expected<void> Rename(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::rename(from, to, failed);
  if (failed) return IoFailed(to, failed);
  return {};
}

fs::path PartOf(const fs::path& fleet, const NodeId& node) {
  return fleet / ("." + FileStem(node) + ".part");
}

Expected<IssuedCertificate> RecordOf(const Credentials& credentials) {
  auto serial = runtime::SerialOf("certificate", credentials.certificate_pem);
  if (!serial) return tl::unexpected(serial.error());
  return IssuedCertificate{
      std::move(*serial), runtime::EndOf(credentials.certificate_pem), std::nullopt};
}

// These files, certificate and key, into `folder`, which must not be there.
Expected<void> WriteFolder(const fs::path& folder,
                           std::vector<CopiedFile> files,
                           const Credentials& credentials) {
  if (auto made = MakePrivate(folder); !made) return made;
  files.push_back({kAuthority, credentials.ca_pem});
  files.push_back({kCertificate, credentials.certificate_pem});
  for (const CopiedFile& file : files) {
    const fs::path path = folder / file.name;
    const auto written =
        file.secret ? runtime::WriteSecret(path, file.text) : WriteFileAtomically(path, file.text);
    if (!written) return written;
  }
  return runtime::WriteSecret(folder / kKey, credentials.key_pem);
}

Expected<void> WriteNodeFolder(const fs::path& folder,
                               const std::string& fleet,
                               const NewNode& node,
                               const Credentials& credentials) {
  const NodeId& id = node.config.node;
  std::vector<CopiedFile> files = node.files;
  files.push_back({kNodeFile, WriteNodeConfig(node.config)});
  files.push_back({UnitName(id), UnitText(fleet, id, node.target)});
  files.push_back({"README", ReadmeText(fleet, id, node.target, node.needs)});
  return WriteFolder(folder, std::move(files), credentials);
}

std::vector<std::string> AddressesOf(const NodeConfig& coordinator) {
  return runtime::Advertised(
      coordinator.coordinator_kit.listen, 0, coordinator.coordinator_kit.advertise);
}

void FillIn(NodeConfig* config) {
  config->folder = ".";
  config->tls = {kAuthority, kCertificate, kKey};
  if (config->node.role == Role::kCoordinator) config->tls.revoked = kRevoked;
  config->telemetry_path = "telemetry.jsonl";
}

// What was written reads back: a kit that its node refuses is never handed out.
Expected<void> CheckReadable(const NodeConfig& config) {
  const auto read = runtime::ParseNodeConfig(
      fs::absolute(kNodeFile).string(), WriteNodeConfig(config), config.node.role);
  if (read) return {};
  const std::string& where = read.error().where;
  return Fail(read.error().kind, where.substr(where.rfind('/') + 1), read.error().message);
}

NewNode CoordinatorOf(const FleetPlan& plan) {
  NewNode node{.config = {}, .files = {}, .needs = "", .life = plan.life, .target = plan.target};
  NodeConfig& config = node.config;
  config.node = runtime::CoordinatorNode();
  config.model_folder = plan.model;
  config.training = plan.training;
  const auto first = runtime::ParseAddress("", plan.addresses.front());
  config.coordinator_kit = {
      .listen = plan.listen.empty() ? fmt::format("[::]:{}", first->port) : plan.listen,
      .advertise = plan.addresses,
      .address_path = "address",
      .scenario_path = "given.json",
      .out_folder = ".",
      .method = plan.method,
      .seed = 1,
      .handover_penalty = plan.handover_penalty,
      .policy = {.rounds_max = plan.rounds, .gather_s = plan.gather_s},
      .farewell_s = 3600.0,
      .log_path = "fleet.sqlite",
      .machine_flop_per_s = plan.machine_flop_per_s,
      .slowdown = {},
      .learn = plan.learn,
      .live = {.listen = plan.live, .address_path = "live-address", .token_path = ""}};
  const auto live = runtime::ParseAddress("", plan.live);
  if (live && !live->Loopback()) {  // What cannot be is refused when the file is read, below.
    config.coordinator_kit.live.token_path = kLiveToken;
    node.files.push_back({kLiveToken, RandomToken() + "\n", true});
  }
  FillIn(&config);
  if (plan.scenario.empty()) {
    node.needs = "given.json is missing: put the fleet's scenario (dashf.scenario/1) there.";
  } else {
    node.files.push_back({"given.json", plan.scenario});
  }
  return node;
}

// What a crash has left of making a fleet's folder, and nobody's anything.
Expected<void> CheckPart(const fs::path& part) {
  std::error_code failed;
  const auto refuse = [&part](const std::string& what) {
    return Fail(ErrorKind::kIo, part.string(), what + "; a fleet's folder is prepared here");
  };
  const fs::file_status status = fs::symlink_status(part, failed);
  if (!fs::exists(status)) return {};
  if (!fs::is_directory(status)) return refuse("is in the way");
  const std::string own[] = {"authority", FileStem(runtime::CoordinatorNode()), kRecord};
  for (fs::directory_iterator at(part, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (std::ranges::find(own, name) == std::end(own)) {
      return refuse("is in the way: holds " + PrintableLine(name));
    }
  }
  if (failed) return IoFailed(part, failed);
  return {};
}

// A node's folder that is not in its place yet.
bool IsPart(const std::string& name) {
  if (!name.ends_with(".part")) return false;
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{".coordinator.", ".server-", ".user-", ".operator-"},
      [&name](std::string_view start) { return name.starts_with(start); });
}

// A certificate's common name has at most 64 characters (RFC 5280, ub-common-name), a fleet's 48.
std::string AuthorityName(const std::string& fleet) {
  return fmt::format("fleet {} authority", fleet);
}

}  // namespace

Expected<Issued> FleetFolder::Init(const fs::path& folder, const FleetPlan& plan) {
  if (auto sound = runtime::CheckId("--name", plan.name); !sound) {
    return tl::unexpected(sound.error());
  }
  for (const std::string& address : plan.addresses) {
    const auto sound = runtime::ParseReachable("--address", address);
    if (!sound) return tl::unexpected(sound.error());
  }
  NewNode coordinator = CoordinatorOf(plan);
  if (auto sound = CheckReadable(coordinator.config); !sound) return tl::unexpected(sound.error());
  std::error_code failed;
  if (fs::exists(fs::symlink_status(folder, failed))) {
    return Fail(ErrorKind::kIo, folder.string(), "is there already; a fleet needs a new folder");
  }
  const auto authority =
      CertificateAuthority::Create({.until = kAuthorityLife}, AuthorityName(plan.name));
  if (!authority) return tl::unexpected(authority.error());
  const auto key = authority->KeyPem();
  if (!key) return tl::unexpected(key.error());
  const auto credentials = authority->Issue(coordinator.config.node, {.until = plan.life});
  if (!credentials) return tl::unexpected(credentials.error());
  const auto list = authority->ListOf({});
  if (!list) return tl::unexpected(list.error());
  coordinator.files.push_back({kRevoked, *list});
  auto certificate = RecordOf(*credentials);
  if (!certificate) return tl::unexpected(certificate.error());
  const FleetRecord record{plan.name, {{coordinator.config.node, {*certificate}}}};

  fs::path part = folder;
  part += ".part";
  if (auto ours = CheckPart(part); !ours) return tl::unexpected(ours.error());
  fs::remove_all(part, failed);  // What a crash left: nothing of it was ever used.
  auto done = MakePrivate(part / "authority");
  if (done) done = MakePrivate(part);
  if (done) done = WriteFileAtomically(part / "authority" / kAuthority, authority->pem());
  if (done) done = runtime::WriteSecret(part / "authority" / kAuthorityKey, *key);
  if (done) {
    done = WriteNodeFolder(
        part / FileStem(coordinator.config.node), plan.name, coordinator, *credentials);
  }
  if (done) done = WriteFileAtomically(part / kRecord, WriteFleetRecord(record));
  if (done) done = Rename(part, folder);
  if (!done) {
    fs::remove_all(part, failed);
    return tl::unexpected(done.error());
  }
  return Issued{coordinator.config.node, folder / FileStem(coordinator.config.node), *certificate};
}

Expected<FleetFolder> FleetFolder::Open(const fs::path& folder) {
  const fs::path path = folder / kRecord;
  const auto text = ReadFile(path, std::uint64_t{256} << 20);
  if (!text) {
    return Fail(text.error().kind,
                text.error().where,
                text.error().message + "; `dashf kit init` makes a fleet's folder");
  }
  auto lock = runtime::FolderLock::Take(folder, "dashf kit");
  if (!lock) return tl::unexpected(lock.error());
  const auto locked_text = ReadFile(path);  // As it is now that nobody else writes.
  if (!locked_text) return tl::unexpected(locked_text.error());
  auto record = ParseFleetRecord(path.string(), *locked_text);
  if (!record) return tl::unexpected(record.error());
  FleetFolder fleet(folder, std::move(*lock), std::move(*record));
  if (auto done = fleet.FinishInterrupted(); !done) return tl::unexpected(done.error());
  return fleet;
}

fs::path FleetFolder::FolderOf(const NodeId& node) const {
  return path_ / FileStem(node);
}

Expected<void> FleetFolder::FinishInterrupted() {
  std::error_code failed;
  for (const Member& member : record_.members) {
    const fs::path part = PartOf(path_, member.node);
    if (!fs::exists(part, failed)) continue;
    if (fs::exists(FolderOf(member.node), failed)) continue;
    if (auto done = Rename(part, FolderOf(member.node)); !done) return done;
  }
  for (fs::directory_iterator at(path_, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (IsPart(name)) fs::remove_all(at->path(), failed);
  }
  if (failed) return IoFailed(path_, failed);
  return {};
}

Expected<void> FleetFolder::WriteRecord() const {
  return WriteFileAtomically(path_ / kRecord, WriteFleetRecord(record_));
}

Expected<CertificateAuthority> FleetFolder::Authority() const {
  return CertificateAuthority::Load((path_ / "authority" / kAuthority).string(),
                                    (path_ / "authority" / kAuthorityKey).string());
}

std::optional<std::string> FleetFolder::ExposedAuthority() const {
  return runtime::ExposedKey((path_ / "authority" / kAuthorityKey).string());
}

Expected<NodeConfig> FleetFolder::Coordinator() const {
  const NodeId node = runtime::CoordinatorNode();
  return runtime::ReadNodeConfig((FolderOf(node) / kNodeFile).string(), node.role);
}

Expected<void> FleetFolder::CheckNew(const NodeId& id) const {
  if (auto sound = runtime::CheckId(FileStem(id), id.id); !sound) return sound;
  std::error_code failed;
  if (!record_.Find(id) && !fs::exists(FolderOf(id), failed)) return {};
  return Fail(ErrorKind::kBadInput,
              FolderOf(id).string(),
              fmt::format("{} is there already; `dashf kit renew {}` makes another certificate",
                          Name(id),
                          Name(id)));
}

Expected<Issued> FleetFolder::Enrol(const NodeId& id,
                                    std::chrono::hours life,
                                    const FolderWriter& write) {
  const auto authority = Authority();
  if (!authority) return tl::unexpected(authority.error());
  const auto credentials = authority->Issue(id, {.until = life});
  if (!credentials) return tl::unexpected(credentials.error());
  auto certificate = RecordOf(*credentials);
  if (!certificate) return tl::unexpected(certificate.error());
  auto done = write(PartOf(path_, id), *credentials);
  record_.members.push_back({id, {*certificate}});
  if (done) done = WriteRecord();
  if (!done) {
    std::error_code failed;
    fs::remove_all(PartOf(path_, id), failed);
    return tl::unexpected(done.error());
  }
  if (done = Rename(PartOf(path_, id), FolderOf(id)); !done) return tl::unexpected(done.error());
  return Issued{id, FolderOf(id), *certificate};
}

Expected<Issued> FleetFolder::Add(const NewNode& given) {
  NewNode node = given;
  const NodeId& id = node.config.node;
  if (auto sound = CheckNew(id); !sound) return tl::unexpected(sound.error());
  const auto coordinator = Coordinator();
  if (!coordinator) return tl::unexpected(coordinator.error());
  FillIn(&node.config);
  node.config.coordinator = AddressesOf(*coordinator);
  if (node.config.model_folder.empty()) node.config.model_folder = coordinator->model_folder;
  if (auto sound = CheckReadable(node.config); !sound) return tl::unexpected(sound.error());
  return Enrol(id, node.life, [&](const fs::path& folder, const Credentials& credentials) {
    return WriteNodeFolder(folder, record_.name, node, credentials);
  });
}

Expected<Issued> FleetFolder::AddOperator(const std::string& name, std::chrono::hours life) {
  const NodeId id = runtime::OperatorNode(name);
  if (auto sound = CheckNew(id); !sound) return tl::unexpected(sound.error());
  const auto coordinator = Coordinator();
  if (!coordinator) return tl::unexpected(coordinator.error());
  const runtime::OperatorConfig config{.node = id,
                                       .fleet = record_.name,
                                       .coordinator = AddressesOf(*coordinator),
                                       .tls = {kAuthority, kCertificate, kKey}};
  return Enrol(id, life, [&](const fs::path& folder, const Credentials& credentials) {
    return WriteFolder(folder,
                       {{runtime::kOperatorFile, WriteOperatorConfig(config)},
                        {"README", OperatorReadmeText(record_.name, id)}},
                       credentials);
  });
}

// That the folder still holds a certificate of this member, and the key it was issued for.
Expected<void> FleetFolder::CheckIssued(Member& member) const {
  const fs::path path = FolderOf(member.node) / kCertificate;
  const auto pem = ReadFile(path, 1 << 20);
  if (!pem) return tl::unexpected(pem.error());
  const auto serial = runtime::SerialOf(path.string(), *pem);
  if (!serial) return Fail(ErrorKind::kBadInput, serial.error().where, serial.error().message);
  const bool known = std::any_of(member.certificates.begin(),
                                 member.certificates.end(),
                                 [&](const auto& one) { return one.serial == *serial; });
  if (known) return {};
  return Fail(ErrorKind::kBadInput,
              path.string(),
              fmt::format("must be a certificate that {} records for {}, got serial {}",
                          (path_ / kRecord).string(),
                          Name(member.node),
                          *serial));
}

Expected<Issued> FleetFolder::Renew(const NodeId& node, bool new_key, std::chrono::hours life) {
  Member* member = record_.Find(node);
  if (member == nullptr) {
    return Fail(ErrorKind::kBadInput, (path_ / kRecord).string(), "has no " + Name(node));
  }
  if (!new_key && !member->Trusted()) {
    return Fail(ErrorKind::kBadInput,
                Name(node),
                "was revoked, and its key with it; --new-key lets it in again with another");
  }
  if (auto sound = CheckIssued(*member); !sound) return tl::unexpected(sound.error());
  const fs::path folder = FolderOf(node);
  std::string key;
  if (!new_key) {
    auto read = ReadFile(folder / kKey, 1 << 20);
    if (!read) return tl::unexpected(read.error());
    key = std::move(*read);
  }
  const auto authority = Authority();
  if (!authority) return tl::unexpected(authority.error());
  const auto credentials = authority->Issue(node, {.until = life}, key);
  if (!credentials) return tl::unexpected(credentials.error());
  auto certificate = RecordOf(*credentials);
  if (!certificate) return tl::unexpected(certificate.error());
  member->certificates.push_back(*certificate);
  if (auto done = WriteRecord(); !done) return tl::unexpected(done.error());
  Expected<void> done;
  if (new_key) {
    const fs::path part = folder / (std::string(kKey) + ".part");
    std::error_code ignored;
    fs::remove(part, ignored);
    done = runtime::WriteSecret(part, credentials->key_pem);
    if (done) done = Rename(part, folder / kKey);
  }
  if (done) done = WriteFileAtomically(folder / kAuthority, credentials->ca_pem);
  if (done) done = WriteFileAtomically(folder / kCertificate, credentials->certificate_pem);
  if (!done) return tl::unexpected(done.error());
  return Issued{node, folder, *certificate};
}

Expected<bool> FleetFolder::Revoke(const NodeId& node) {
  Member* member = record_.Find(node);
  if (member == nullptr) {
    return Fail(ErrorKind::kBadInput, (path_ / kRecord).string(), "has no " + Name(node));
  }
  if (node.role == Role::kCoordinator) {
    return Fail(ErrorKind::kBadInput,
                Name(node),
                "cannot be revoked, for it is who reads the list: if its key is lost to somebody, "
                "make a new fleet (dashf kit init)");
  }
  const Time now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  const bool changed =
      std::ranges::any_of(member->certificates, [](const auto& one) { return !one.revoked; });
  for (IssuedCertificate& one : member->certificates) {
    if (!one.revoked) one.revoked = now;
  }
  const auto authority = Authority();
  if (!authority) return tl::unexpected(authority.error());
  std::vector<runtime::Revocation> revoked;
  for (const Member& each : record_.members) {
    for (const IssuedCertificate& one : each.certificates) {
      if (one.revoked && one.until > now) revoked.push_back({one.serial, *one.revoked});
    }
  }
  const auto list = authority->ListOf(revoked);
  if (!list) return tl::unexpected(list.error());
  auto done = WriteRecord();
  if (done) done = WriteFileAtomically(FolderOf(runtime::CoordinatorNode()) / kRevoked, *list);
  if (!done) return tl::unexpected(done.error());
  return changed;
}

std::string FleetFolder::LookAtFile(const Member& member, ListedNode* listed) const {
  const bool is_operator = member.node.role == Role::kOperator;
  const fs::path path = FolderOf(member.node) / (is_operator ? runtime::kOperatorFile : kNodeFile);
  NodeId named;
  if (is_operator) {
    const auto config = runtime::ReadOperatorConfig(path.string());
    if (!config) return config.error().Text();
    named = config->node;
  } else {
    const auto config = runtime::ReadNodeConfig(path.string(), member.node.role);
    if (!config) return config.error().Text();
    named = config->node;
    listed->addresses = member.node.role == Role::kServer ? config->server.advertise
                                                          : config->coordinator_kit.advertise;
  }
  if (named == member.node) return "";
  return fmt::format("{}: {}: must be {}, got {}",
                     path.string(),
                     is_operator ? "operator" : "node",
                     Name(member.node),
                     Name(named));
}

ListedNode FleetFolder::Look(const Member& member) const {
  ListedNode listed{member.node, member.certificates.back(), {}, ""};
  listed.fault = LookAtFile(member, &listed);
  if (!listed.fault.empty()) return listed;
  const fs::path folder = FolderOf(member.node);
  const runtime::CredentialPaths paths{
      folder / kAuthority, folder / kCertificate, folder / kKey, ""};
  Member copy = member;
  if (auto sound = CheckIssued(copy); !sound) {
    listed.fault = sound.error().Text();
  } else if (const auto loaded = runtime::LoadCredentials(paths, member.node); !loaded) {
    listed.fault = loaded.error().Text();
  } else if (const auto exposed = runtime::ExposedKey(paths.key)) {
    listed.fault = *exposed;
  }
  return listed;
}

std::vector<ListedNode> FleetFolder::List() const {
  std::vector<ListedNode> nodes;
  for (const Member& member : record_.members) nodes.push_back(Look(member));
  return nodes;
}

}  // namespace dashf::kit
