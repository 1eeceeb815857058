// What the numerical library does on this machine: its threads and its speed.
#pragma once

#include <string>
#include "base/error.h"
#include "llama/weights.h"
#include "train/storage_choice.h"

namespace dashf::train {

// Threads for one computation, for the whole process; 1 at first. Call before the first one. >= 1.
void SetThreads(int threads);
int Threads();

// The rate of a 512 x 512 float32 matrix product with the current threads: best of several, about
// 0.1 s.
double MeasureGemmFlopPerS();

// A sentence if a core does less than 20 GFLOP/s, as the reference BLAS does (4 instead of 60): the
// numbers would be right and the times useless. Empty if all is well.
std::string ComputeWarning(double gemm_flop_per_s, int threads);

// What a choice comes to on this processor. As StorageChoice::Validate(); kBadInput at "arithmetic"
// also for bfloat16 where the processor has no such products.
Expected<llama::Storage> StorageFor(const StorageChoice& choice);
const char* Name(llama::Arithmetic arithmetic);
const char* Name(llama::Format format);

}  // namespace dashf::train
