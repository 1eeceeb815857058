// Who reaches whom, and how well. Pure: safe from any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "base/rng.h"
#include "scenario/generator.h"
#include "scenario/scenario.h"

namespace dashf {

// User `n`'s links by ascending server: of the options' gains, or of path gain and fading to every
// server within whose coverage it is, the strongest `candidates`. A gain of 0 is no link.
std::vector<Link> DrawLinks(const Geography& places,
                            const GeneratorOptions& options,
                            std::size_t n,
                            std::size_t candidates,
                            const Rng& rng);

}  // namespace dashf
