// Large blocks of memory in pages of 2 MiB, where the kernel has them: a row of a large matrix then
// is not a page of its own, whose address the processor has to look up.
#pragma once

#include <cstddef>

namespace dashf::llama {

// To be called before the block is written. Blocks below some MiB, and kernels without such pages,
// are left as they are.
void AskForHugePages(void* data, std::size_t bytes);

}  // namespace dashf::llama
