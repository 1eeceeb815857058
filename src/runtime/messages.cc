#include "runtime/messages.h"

namespace dashf::runtime {

v1::Node ToWire(const NodeId& node) {
  v1::Node wire;
  wire.set_role(node.role == Role::kUser ? v1::ROLE_USER : v1::ROLE_SERVER);
  wire.set_id(node.id);
  return wire;
}

v1::Phase ToWire(Phase phase) {
  return static_cast<v1::Phase>(static_cast<int>(phase) + 1);
}

v1::Compute ToWire(const Compute& compute) {
  v1::Compute wire;
  wire.set_clock_hz_max(compute.clock_hz_max);
  wire.set_flop_per_cycle(compute.flop_per_cycle);
  wire.set_kappa_w_per_hz3(compute.kappa_w_per_hz3);
  wire.set_energy_j_per_flop(compute.energy_j_per_flop);
  return wire;
}

v1::SplitProfile ToWire(const SplitProfile& profile) {
  v1::SplitProfile wire;
  wire.mutable_local_flop()->Assign(profile.local_flop.begin(), profile.local_flop.end());
  wire.mutable_server_flop()->Assign(profile.server_flop.begin(), profile.server_flop.end());
  wire.mutable_upload_bit()->Assign(profile.upload_bit.begin(), profile.upload_bit.end());
  wire.mutable_download_bit()->Assign(profile.download_bit.begin(), profile.download_bit.end());
  wire.mutable_local_memory_bytes()->Assign(profile.local_memory_bytes.begin(),
                                            profile.local_memory_bytes.end());
  return wire;
}

v1::Chunk ToWire(const ChunkView& chunk) {
  v1::Chunk wire;
  wire.set_artefact(chunk.artefact);
  wire.set_offset(chunk.offset);
  wire.set_data(chunk.data.data(), chunk.data.size());
  wire.set_crc32c(chunk.crc32c);
  return wire;
}

v1::Artefact ToWire(v1::ArtefactKind kind, const Announced& announced) {
  v1::Artefact wire;
  wire.set_kind(kind);
  wire.set_bytes(announced.bytes);
  wire.set_sha256(announced.sha256);
  return wire;
}

std::optional<NodeId> FromWire(const v1::Node& node) {
  if (node.role() == v1::ROLE_USER) return UserNode(node.id());
  if (node.role() == v1::ROLE_SERVER) return ServerNode(node.id());
  return std::nullopt;
}

std::optional<Phase> FromWire(v1::Phase phase) {
  if (phase < v1::PHASE_LOCAL || phase > v1::PHASE_VERIFY) return std::nullopt;
  return static_cast<Phase>(static_cast<int>(phase) - 1);
}

Compute FromWire(const v1::Compute& compute) {
  return {compute.clock_hz_max(),
          compute.flop_per_cycle(),
          compute.kappa_w_per_hz3(),
          compute.energy_j_per_flop()};
}

SplitProfile FromWire(const v1::SplitProfile& profile) {
  return {.name = "",
          .local_flop = {profile.local_flop().begin(), profile.local_flop().end()},
          .server_flop = {profile.server_flop().begin(), profile.server_flop().end()},
          .upload_bit = {profile.upload_bit().begin(), profile.upload_bit().end()},
          .download_bit = {profile.download_bit().begin(), profile.download_bit().end()},
          .local_memory_bytes = {profile.local_memory_bytes().begin(),
                                 profile.local_memory_bytes().end()}};
}

ChunkView FromWire(const v1::Chunk& chunk) {
  return {chunk.artefact(), chunk.offset(), chunk.data(), chunk.crc32c()};
}

Announced FromWire(const v1::Artefact& artefact) {
  return {artefact.bytes(), artefact.sha256()};
}

}  // namespace dashf::runtime
