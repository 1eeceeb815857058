#include "kit/node_folder.h"

#include <fmt/format.h>

namespace dashf::kit {
namespace {

using runtime::FileStem;
using runtime::NodeId;

std::string Verb(const NodeId& node) {
  const std::string name = Name(node);
  return name.substr(0, name.find('/'));
}

}  // namespace

std::string UnitName(const NodeId& node) {
  return fmt::format("dashf-{}.service", FileStem(node));
}

std::string UnitText(const std::string& fleet, const NodeId& node, const Target& target) {
  return fmt::format(
      R"([Unit]
Description=dashf {name} of fleet {fleet}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} {verb} --config {folder}/node.json
WorkingDirectory={folder}
# Loading a large model takes its time; a node waits for its coordinator as long as that takes.
TimeoutStartSec=infinity
WatchdogSec=60
Restart=on-failure
RestartSec=5
# A wrong flag, file or certificate stays wrong until somebody mends it, and 8 ends a fleet.
RestartPreventExitStatus=2 3 8 9
SuccessExitStatus=143
TimeoutStopSec=20
LimitNOFILE=65536
User=dashf
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={folder}

[Install]
WantedBy=multi-user.target
)",
      fmt::arg("name", Name(node)),
      fmt::arg("fleet", fleet),
      fmt::arg("program", target.program),
      fmt::arg("verb", Verb(node)),
      fmt::arg("folder", target.parent + "/" + FileStem(node)));
}

std::string ReadmeText(const std::string& fleet,
                       const NodeId& node,
                       const Target& target,
                       const std::string& needs) {
  const std::string folder = target.parent + "/" + FileStem(node);
  return fmt::format(
      "{} of fleet {}. node.key is its secret: copy this folder to {} by a safe way, owned by user "
      "dashf.\n{}"
      "By hand: {} {} --config {}/node.json\n"
      "As a service: systemctl enable --now {}/{}\n",
      Name(node),
      fleet,
      folder,
      needs.empty() ? "" : needs + "\n",
      target.program,
      Verb(node),
      folder,
      folder,
      UnitName(node));
}

std::string OperatorReadmeText(const std::string& fleet, const NodeId& who) {
  return fmt::format(
      "{} of fleet {}. node.key is a secret: keep this folder where only this person reads.\n"
      "dashf ctl status --config FOLDER, with this folder; from within it or beside it, dashf ctl "
      "status.\n",
      Name(who),
      fleet);
}

}  // namespace dashf::kit
