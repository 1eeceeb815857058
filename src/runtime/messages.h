// The wire's enumerations and records as the runtime's own, and back.
#pragma once

#include <optional>

#include "base/error.h"
#include "dashf.pb.h"
#include "fleet/step.h"
#include "runtime/emulation.h"
#include "runtime/node.h"
#include "runtime/transfer.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

v1::Node ToWire(const NodeId& node);
v1::Phase ToWire(fleet::Phase phase);
v1::Verdict ToWire(fleet::Verdict verdict);
v1::Compute ToWire(const Compute& compute);
v1::SplitProfile ToWire(const SplitProfile& profile);
v1::Chunk ToWire(const ChunkView& chunk);
void Fill(const ChunkView& chunk, v1::Chunk* wire);  // Into the memory that its last data had.
v1::Artefact ToWire(v1::ArtefactKind kind, const Announced& announced);
v1::PhaseReport ToWire(std::uint64_t incarnation, const fleet::PhaseFinished& report);
void Fill(const Decision& decision, v1::Assignment* assignment);  // Split and shares.

std::optional<NodeId> FromWire(const v1::Node& node);  // None: no such role.
std::optional<fleet::Phase> FromWire(v1::Phase phase);
std::optional<fleet::Verdict> FromWire(v1::Verdict verdict);
Compute FromWire(const v1::Compute& compute);
SplitProfile FromWire(const v1::SplitProfile& profile);
ChunkView FromWire(const v1::Chunk& chunk);  // Refers to the message's bytes.
Announced FromWire(const v1::Artefact& artefact);
// kBadInput for what no honest node says: no such phase, numbers that are negative or not finite,
// a failure longer than a page. Control characters become spaces.
Expected<fleet::PhaseFinished> FromWire(const NodeId& reporter, const v1::PhaseReport& report);
Decision DecisionIn(const v1::Assignment& assignment);
v1::Pace ToWire(const Pace& pace);
// What makes no sense holds nobody back.
Pace FromWire(const v1::Pace& pace);

}  // namespace dashf::runtime
