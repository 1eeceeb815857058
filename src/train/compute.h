// What the numerical library does on this machine: its threads and its speed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llama/weights.h"

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

// How frozen weights are multiplied: "float32"; "bfloat16", which keeps them so too; or "auto",
// bfloat16 if the processor has such products. kUsage at `where` for bfloat16 on one that has none.
inline const std::vector<std::string> kArithmetics = {"float32", "bfloat16", "auto"};
Expected<llama::Arithmetic> ArithmeticNamed(const std::string& where, std::string_view name);
const char* Name(llama::Arithmetic arithmetic);
llama::Storage StorageFor(llama::Arithmetic arithmetic);

}  // namespace dashf::train
