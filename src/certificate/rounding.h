// Outward rounding without touching the processor's rounding mode. IEEE 754 binary64, round to
// nearest: r = fl(x op y) is within half a unit in the last place of the exact value (or within
// 2^-1075 of it below the normal range), and |r| 2^-52 is at least one whole unit, so r +- that
// encloses the exact value. The C library's exp, expm1, log, log1p and cbrt are claimed to err by
// less than 1 to 4 units (glibc manual, "Known Maximum Errors"); they are given 8. NaN and
// infinities on the unsafe side propagate; whoever compares must take NaN for "no bound".
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#ifdef __FAST_MATH__
#error "Proofs need IEEE 754 arithmetic: build without -ffast-math."
#endif

namespace dashf::certificate {

static_assert(std::numeric_limits<double>::is_iec559);

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kLargestDouble = std::numeric_limits<double>::max();

// What overflows is a real number beyond the largest double, which is on its safe side; NaN stays.
inline double Up(double r) {
  r = std::max(r, -kLargestDouble);
  return r + (std::abs(r) * 0x1p-52 + 0x1p-1070);
}
inline double Down(double r) {
  r = std::min(r, kLargestDouble);
  return r - (std::abs(r) * 0x1p-52 + 0x1p-1070);
}

// lo <= hi enclose a real number.
struct Interval {
  double lo = 0.0;
  double hi = 0.0;

  constexpr Interval() = default;
  constexpr Interval(double x) : lo(x), hi(x) {}  // NOLINT: a double is an interval of one point.
  constexpr Interval(double low, double high) : lo(low), hi(high) {}
};

inline Interval operator+(Interval a, Interval b) {
  return {Down(a.lo + b.lo), Up(a.hi + b.hi)};
}
inline Interval operator-(Interval a, Interval b) {
  return {Down(a.lo - b.hi), Up(a.hi - b.lo)};
}
inline Interval operator-(Interval a) {
  return {-a.hi, -a.lo};
}
inline Interval operator*(Interval a, Interval b) {
  if (a.lo >= 0.0 && b.lo >= 0.0) return {Down(a.lo * b.lo), Up(a.hi * b.hi)};
  const double p = a.lo * b.lo;
  const double q = a.lo * b.hi;
  const double r = a.hi * b.lo;
  const double s = a.hi * b.hi;
  if (!(p == p && q == q && r == r && s == s)) return {-kInfinity, kInfinity};
  return {Down(std::min({p, q, r, s})), Up(std::max({p, q, r, s}))};
}
// For b > 0 alone.
inline Interval operator/(Interval a, Interval b) {
  if (!(b.lo > 0.0)) return {-kInfinity, kInfinity};
  return {Down(a.lo / (a.lo >= 0.0 ? b.hi : b.lo)), Up(a.hi / (a.hi >= 0.0 ? b.lo : b.hi))};
}

// `r` is a library result for an increasing function, off by at most 8 units.
inline double LibraryUp(double r) {
  return r + (std::abs(r) * 0x1p-49 + 0x1p-1070);
}
inline double LibraryDown(double r) {
  return r - (std::abs(r) * 0x1p-49 + 0x1p-1070);
}
inline Interval Exp(Interval x) {
  const double low = std::exp(x.lo);
  return {LibraryDown(low), LibraryUp(x.lo == x.hi ? low : std::exp(x.hi))};
}
// Where nothing cancels, by way of exp and log, which are several times as fast.
inline Interval Expm1(Interval x) {
  if (x.lo > 1.0) return Exp(x) - Interval(1.0);
  const double low = std::expm1(x.lo);
  return {LibraryDown(low), LibraryUp(x.lo == x.hi ? low : std::expm1(x.hi))};
}
inline Interval Log1p(Interval x) {
  if (x.lo > 1.0) {
    return {LibraryDown(std::log(Down(1.0 + x.lo))), LibraryUp(std::log(Up(1.0 + x.hi)))};
  }
  const double low = std::log1p(x.lo);
  return {LibraryDown(low), LibraryUp(x.lo == x.hi ? low : std::log1p(x.hi))};
}
inline double CbrtDown(double x) {
  return LibraryDown(std::cbrt(x));
}
// The square root is correctly rounded.
inline double SqrtDown(double x) {
  return Down(std::sqrt(x));
}

// ln 2 = 0x1.62e42fefa39ef35793c7673007e5...p-1.
inline constexpr Interval kLn2{0x1.62e42fefa39efp-1, 0x1.62e42fefa39f0p-1};

}  // namespace dashf::certificate
