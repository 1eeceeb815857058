// What the numerical library does on this machine: its threads and its speed.
#pragma once

#include <string>

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

}  // namespace dashf::train
