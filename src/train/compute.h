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

// What multiplies float32 matrices on this machine, and how fast one core is at it, in
// floating-point operations per second of processor time, so that other work disturbs it little: a
// 512 x 512 product, and what the core could do at most (llama/processor.h). Takes about 50 ms.
struct Products {
  std::string library, kernels;  // "oneDNN", "AVX-512 + AMX".
  double flop_per_s = 0.0;
  double peak_flop_per_s = 0.0;
};
Products MeasureProducts();
// "oneDNN with AVX-512 + AMX, 104.2 GFLOP/s per core".
std::string Describe(const Products& products);
// A sentence with the cause if products run below half of the peak: the numbers would be right and
// the times useless. Empty if all is well.
std::string ProductsWarning(const Products& products);

// What a choice comes to on this processor. As StorageChoice::Validate(); kBadInput at "arithmetic"
// also for bfloat16 where the processor has no such products.
Expected<llama::Storage> StorageFor(const StorageChoice& choice);
const char* Name(llama::Arithmetic arithmetic);
const char* Name(llama::Format format);

}  // namespace dashf::train
