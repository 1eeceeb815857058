// Loops that the compiler turns into vector code for the machine it runs on. Internal.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// A function of its own for each generation of x86-64, chosen when the program starts. Elsewhere
// the compiler's target decides.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DASHF_VECTORISED \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define DASHF_VECTORISED
#endif

// The body that each of them shares.
#define DASHF_INLINE [[gnu::always_inline]] inline

namespace dashf::llama {

DASHF_INLINE double Exp(double x) {
  return std::exp(x);
}

// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2, where Taylor's polynomial of degree 7
// leaves 2e-8 relative: within 2 units in the last place for x in [-87, 88], to which x is clamped.
DASHF_INLINE float Exp(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer.
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;  // kLn2High n is exact.
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

}  // namespace dashf::llama
