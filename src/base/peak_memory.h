// This process's memory, as the kernel counts it (proc(5)). Linux alone; 0 where it does not say.
#pragma once

namespace dashf {

double ResidentMemoryBytes();  // Now.

// The most there has been since ResetPeakMemory, which also gives unused heap back to the kernel.
void ResetPeakMemory();
double PeakMemoryBytes();

}  // namespace dashf
