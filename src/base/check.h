// DASHF_CHECK: an invariant that only our own mistake can break. On in every build: prints and
// aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

#define DASHF_CHECK(condition)                                                               \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
