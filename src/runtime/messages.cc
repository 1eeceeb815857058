#include "runtime/messages.h"

#include <fmt/format.h>

#include <cmath>

namespace dashf::runtime {
namespace {

constexpr std::size_t kFailureBytesMax = 4096;

v1::Evaluation ToWire(const Quality& quality) {
  v1::Evaluation wire;
  wire.set_loss(*quality.loss);
  if (quality.exact_match) wire.set_exact_match(*quality.exact_match);
  if (quality.choice_accuracy) wire.set_choice_accuracy(*quality.choice_accuracy);
  return wire;
}

Quality FromWire(const v1::Evaluation& wire) {
  Quality quality;
  quality.loss = wire.loss();
  if (wire.has_exact_match()) quality.exact_match = wire.exact_match();
  if (wire.has_choice_accuracy()) quality.choice_accuracy = wire.choice_accuracy();
  return quality;
}

bool Sound(const Quality& quality) {
  for (const auto& value : {quality.loss, quality.exact_match, quality.choice_accuracy}) {
    if (value && !(std::isfinite(*value) && *value >= 0.0)) return false;
  }
  return true;
}

}  // namespace

v1::Node ToWire(const NodeId& node) {
  v1::Node wire;
  wire.set_role(node.role == Role::kUser ? v1::ROLE_USER : v1::ROLE_SERVER);
  wire.set_id(node.id);
  return wire;
}

v1::Phase ToWire(fleet::Phase phase) {
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
  Fill(chunk, &wire);
  return wire;
}

void Fill(const ChunkView& chunk, v1::Chunk* wire) {
  wire->set_artefact(chunk.artefact);
  wire->set_offset(chunk.offset);
  wire->mutable_data()->assign(chunk.data);
  wire->set_crc32c(chunk.crc32c);
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

std::optional<fleet::Phase> FromWire(v1::Phase phase) {
  if (phase < v1::PHASE_LOCAL || phase > v1::PHASE_VERIFY) return std::nullopt;
  return static_cast<fleet::Phase>(static_cast<int>(phase) - 1);
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

v1::PhaseReport ToWire(std::uint64_t incarnation, const fleet::PhaseFinished& report) {
  v1::PhaseReport wire;
  wire.set_incarnation(incarnation);
  wire.set_round(report.round);
  wire.set_attempt(static_cast<std::uint32_t>(report.attempt));
  wire.set_user(report.user);
  wire.set_phase(ToWire(report.phase));
  wire.set_failure(report.failure.substr(0, kFailureBytesMax));
  wire.set_elapsed_s(report.measured.elapsed_s.value_or(0.0));
  wire.set_cpu_s(report.measured.cpu_s.value_or(0.0));
  if (report.measured.energy_j) wire.set_energy_j(*report.measured.energy_j);
  wire.set_bytes(report.measured.bytes.value_or(0));
  if (report.before.loss) *wire.mutable_before() = ToWire(report.before);
  if (report.after.loss) *wire.mutable_after() = ToWire(report.after);
  return wire;
}

Expected<fleet::PhaseFinished> FromWire(const NodeId& reporter, const v1::PhaseReport& wire) {
  const std::string where = Name(reporter) + "'s report";
  const auto phase = FromWire(wire.phase());
  if (!phase) return Fail(ErrorKind::kBadInput, where, "must be of one of the five phases");
  if (wire.failure().size() > kFailureBytesMax) {
    return Fail(
        ErrorKind::kBadInput,
        where,
        fmt::format(
            "failure must have at most {} bytes, got {}", kFailureBytesMax, wire.failure().size()));
  }
  fleet::PhaseFinished report{.reporter = reporter,
                              .incarnation = wire.incarnation(),
                              .round = wire.round(),
                              .attempt = static_cast<int>(wire.attempt()),
                              .user = wire.user(),
                              .phase = *phase,
                              .failure = wire.failure(),
                              .measured = {},
                              .before = {},
                              .after = {}};
  for (char& c : report.failure) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const bool sound = std::isfinite(wire.elapsed_s()) && wire.elapsed_s() >= 0.0 &&
                     std::isfinite(wire.cpu_s()) && wire.cpu_s() >= 0.0 &&
                     std::isfinite(wire.energy_j()) && wire.energy_j() >= 0.0;
  if (wire.has_before()) report.before = FromWire(wire.before());
  if (wire.has_after()) report.after = FromWire(wire.after());
  if (!sound || !Sound(report.before) || !Sound(report.after)) {
    return Fail(
        ErrorKind::kBadInput, where, "seconds, joules and qualities must be finite and >= 0");
  }
  if (!report.failure.empty()) return report;
  const bool trains = *phase == fleet::Phase::kLocal || *phase == fleet::Phase::kServer;
  const bool transfers = *phase == fleet::Phase::kUpload || *phase == fleet::Phase::kDownload;
  report.measured.elapsed_s = wire.elapsed_s();
  if (trains) report.measured.cpu_s = wire.cpu_s();
  if (trains && wire.has_energy_j()) report.measured.energy_j = wire.energy_j();
  if (transfers) report.measured.bytes = wire.bytes();
  return report;
}

v1::Verdict ToWire(fleet::Verdict verdict) {
  switch (verdict) {
    case fleet::Verdict::kAccepted:
      return v1::VERDICT_ACCEPTED;
    case fleet::Verdict::kDuplicate:
      return v1::VERDICT_DUPLICATE;
    case fleet::Verdict::kStale:
      return v1::VERDICT_STALE;
    case fleet::Verdict::kOutOfOrder:
      return v1::VERDICT_OUT_OF_ORDER;
    case fleet::Verdict::kWrongReporter:
    case fleet::Verdict::kOtherAlive:
      return v1::VERDICT_WRONG_REPORTER;
    case fleet::Verdict::kUnknown:
      return v1::VERDICT_UNKNOWN;
  }
  return v1::VERDICT_UNSPECIFIED;
}

std::optional<fleet::Verdict> FromWire(v1::Verdict verdict) {
  switch (verdict) {
    case v1::VERDICT_ACCEPTED:
      return fleet::Verdict::kAccepted;
    case v1::VERDICT_DUPLICATE:
      return fleet::Verdict::kDuplicate;
    case v1::VERDICT_STALE:
      return fleet::Verdict::kStale;
    case v1::VERDICT_OUT_OF_ORDER:
      return fleet::Verdict::kOutOfOrder;
    case v1::VERDICT_WRONG_REPORTER:
      return fleet::Verdict::kWrongReporter;
    case v1::VERDICT_UNKNOWN:
      return fleet::Verdict::kUnknown;
    default:
      return std::nullopt;
  }
}

void Fill(const Decision& decision, v1::Assignment* assignment) {
  assignment->set_local_layers(static_cast<std::uint32_t>(decision.local_layers));
  assignment->set_local_clock_hz(decision.local_clock_hz);
  assignment->set_tx_power_w(decision.tx_power_w);
  assignment->set_bandwidth_hz(decision.bandwidth_hz);
  assignment->set_server_tx_power_w(decision.server_tx_power_w);
  assignment->set_server_clock_hz(decision.server_clock_hz);
}

v1::Pace ToWire(const Pace& pace) {
  v1::Pace wire;
  wire.set_upload_bit_per_s(pace.upload_bit_per_s);
  wire.set_download_bit_per_s(pace.download_bit_per_s);
  wire.set_local_s(pace.local_s);
  wire.set_server_s(pace.server_s);
  return wire;
}

Pace FromWire(const v1::Pace& pace) {
  const auto sound = [](double value) { return std::isfinite(value) && value > 0.0 ? value : 0.0; };
  return {.upload_bit_per_s = sound(pace.upload_bit_per_s()),
          .download_bit_per_s = sound(pace.download_bit_per_s()),
          .local_s = sound(pace.local_s()),
          .server_s = sound(pace.server_s())};
}

Decision DecisionIn(const v1::Assignment& assignment) {
  return {.server = 0,
          .local_layers = static_cast<int>(assignment.local_layers()),
          .local_clock_hz = assignment.local_clock_hz(),
          .tx_power_w = assignment.tx_power_w(),
          .bandwidth_hz = assignment.bandwidth_hz(),
          .server_tx_power_w = assignment.server_tx_power_w(),
          .server_clock_hz = assignment.server_clock_hz()};
}

}  // namespace dashf::runtime
