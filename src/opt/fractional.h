// The fractional technique (docs/model.md (8); arXiv:2304.00355, see also Shen and Yu 2018): for
// A >= 0 convex and B > 0 concave,
//   A / B = min over z > 0 of A^2 z + 1 / (4 B^2 z),   attained at z = 1 / (2 A B),
// so a ratio that must be minimised inside a larger objective has, at every point, a convex
// majorant that touches it there. Pure functions.
#pragma once

namespace dashf::opt {

// A function of two variables at a point: value, gradient, Hessian.
struct Jet2 {
  double value = 0.0;
  double dx = 0.0, dy = 0.0;
  double dxx = 0.0, dxy = 0.0, dyy = 0.0;
};

// The z at which the majorant touches the ratio.
constexpr double TightWeight(double a, double b) {
  return 1.0 / (2.0 * a * b);
}

constexpr double MajorizedRatio(double a, double b, double z) {
  return a * a * z + 1.0 / (4.0 * b * b * z);
}

// The majorant with its derivatives; A > 0 and B > 0. At z = TightWeight the value and the gradient
// are the ratio's own, and the Hessian is positive semidefinite.
constexpr Jet2 MajorizedRatio(const Jet2& a, const Jet2& b, double z) {
  const double inverse_b2 = 1.0 / (b.value * b.value);
  const double first = 1.0 / (2.0 * z) * inverse_b2 / b.value;  // 1 / (2 z B^3)
  const double second = 3.0 * first / b.value;                  // 3 / (2 z B^4)
  Jet2 out;
  out.value = MajorizedRatio(a.value, b.value, z);
  out.dx = 2.0 * z * a.value * a.dx - first * b.dx;
  out.dy = 2.0 * z * a.value * a.dy - first * b.dy;
  out.dxx = 2.0 * z * (a.dx * a.dx + a.value * a.dxx) + second * b.dx * b.dx - first * b.dxx;
  out.dxy = 2.0 * z * (a.dx * a.dy + a.value * a.dxy) + second * b.dx * b.dy - first * b.dxy;
  out.dyy = 2.0 * z * (a.dy * a.dy + a.value * a.dyy) + second * b.dy * b.dy - first * b.dyy;
  return out;
}

}  // namespace dashf::opt
