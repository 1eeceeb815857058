// What this processor can, and what the library of matrix products makes of it.
#pragma once

#include <string>

namespace dashf::llama {

// The widest float32 vectors that the processor has, as "AVX-512" or "NEON".
std::string ProcessorVectors();

// The kernels that products run on: "AVX-512 + AMX"; of OpenBLAS its own name of them,
// "NEOVERSEN1". The part before " + " is for float32, the rest for bfloat16.
std::string ProductKernels();
const char* ProductLibrary();

// The environment variable that keeps the library from what the processor can, with its value:
// "ONEDNN_MAX_CPU_ISA=AVX2". Empty if none does.
std::string ProductCap();

// The calling thread's float32 operations per second of its processor time, out of registers alone:
// multiply-adds (without FMA: a multiplication and an addition) of the widest vectors, best of
// `repeats` loops of about a millisecond.
double MeasurePeakFlopPerS(int repeats);

}  // namespace dashf::llama
