// An adapter merged into its base: one model that computes what the two together do.
#pragma once

#include "base/error.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::train {

// W + s B A for every projection that the adapter covers; the other tensors are shared with the
// base. kBadInput for an adapter that does not fit, and for LLaMA-Adapter's prompts, which no
// weight of the base can stand for.
Expected<Model> MergeAdapter(const Model& base, const Adapter& adapter);

}  // namespace dashf::train
