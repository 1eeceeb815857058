// The wire's enumerations and records as the runtime's own, and back.
#pragma once

#include <optional>

#include "dashf.pb.h"
#include "runtime/coordinator_core.h"
#include "runtime/node.h"
#include "runtime/transfer.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

v1::Node ToWire(const NodeId& node);
v1::Phase ToWire(Phase phase);
v1::Compute ToWire(const Compute& compute);
v1::SplitProfile ToWire(const SplitProfile& profile);
v1::Chunk ToWire(const ChunkView& chunk);
v1::Artefact ToWire(v1::ArtefactKind kind, const Announced& announced);

std::optional<NodeId> FromWire(const v1::Node& node);  // None: no such role.
std::optional<Phase> FromWire(v1::Phase phase);
Compute FromWire(const v1::Compute& compute);
SplitProfile FromWire(const v1::SplitProfile& profile);
ChunkView FromWire(const v1::Chunk& chunk);  // Refers to the message's bytes.
Announced FromWire(const v1::Artefact& artefact);

}  // namespace dashf::runtime
