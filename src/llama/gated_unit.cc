#include "llama/gated_unit.h"

#include "base/check.h"
#include "llama/vector_math.h"

namespace dashf::llama {
namespace {

struct Silu {
  template <class T>
  DASHF_INLINE static T Z(T g) {
    return g;
  }
  template <class T>
  DASHF_INLINE static T Slope(T) {
    return T{1};
  }
};

struct GeluTanh {
  static constexpr double kTwoRootTwoOverPi = 1.5957691216057308, kCubic = 0.044715;
  template <class T>
  DASHF_INLINE static T Z(T g) {
    return static_cast<T>(kTwoRootTwoOverPi) * (g + static_cast<T>(kCubic) * g * g * g);
  }
  template <class T>
  DASHF_INLINE static T Slope(T g) {
    return static_cast<T>(kTwoRootTwoOverPi) * (T{1} + static_cast<T>(3.0 * kCubic) * g * g);
  }
};

template <class Gate, class T>
DASHF_INLINE void ForwardRow(const T* g, const T* u, std::int64_t width, T* y) {
#pragma omp simd
  for (std::int64_t j = 0; j < width; ++j) y[j] = g[j] * u[j] / (T{1} + Exp(-Gate::Z(g[j])));
}

template <class Gate, class T>
DASHF_INLINE void BackwardRow(const T* dy, std::int64_t width, T* g, T* u) {
#pragma omp simd
  for (std::int64_t j = 0; j < width; ++j) {
    const T s = T{1} / (T{1} + Exp(-Gate::Z(g[j])));
    const T a = g[j] * s;
    g[j] = dy[j] * u[j] * (s + a * (T{1} - s) * Gate::Slope(g[j]));
    u[j] = dy[j] * a;
  }
}

DASHF_VECTORISED void SiluForward(const float* g, const float* u, std::int64_t width, float* y) {
  ForwardRow<Silu>(g, u, width, y);
}
void SiluForward(const double* g, const double* u, std::int64_t width, double* y) {
  ForwardRow<Silu>(g, u, width, y);
}
DASHF_VECTORISED void SiluBackward(const float* dy, std::int64_t width, float* g, float* u) {
  BackwardRow<Silu>(dy, width, g, u);
}
void SiluBackward(const double* dy, std::int64_t width, double* g, double* u) {
  BackwardRow<Silu>(dy, width, g, u);
}
DASHF_VECTORISED void GeluForward(const float* g, const float* u, std::int64_t width, float* y) {
  ForwardRow<GeluTanh>(g, u, width, y);
}
void GeluForward(const double* g, const double* u, std::int64_t width, double* y) {
  ForwardRow<GeluTanh>(g, u, width, y);
}
DASHF_VECTORISED void GeluBackward(const float* dy, std::int64_t width, float* g, float* u) {
  BackwardRow<GeluTanh>(dy, width, g, u);
}
void GeluBackward(const double* dy, std::int64_t width, double* g, double* u) {
  BackwardRow<GeluTanh>(dy, width, g, u);
}

}  // namespace

template <class T>
void GatedUnitForward(Activation activation, ConstMatrix<T> gate_up, Matrix<T> y) {
  DASHF_CHECK(gate_up.rows == y.rows && gate_up.columns == 2 * y.columns);
  for (std::int64_t i = 0; i < y.rows; ++i) {
    const T* const g = gate_up.Row(i);
    if (activation == Activation::kSilu) {
      SiluForward(g, g + y.columns, y.columns, y.Row(i));
    } else {
      GeluForward(g, g + y.columns, y.columns, y.Row(i));
    }
  }
}

template <class T>
void GatedUnitBackward(Activation activation, ConstMatrix<T> dy, Matrix<T> gate_up) {
  DASHF_CHECK(gate_up.rows == dy.rows && gate_up.columns == 2 * dy.columns);
  for (std::int64_t i = 0; i < dy.rows; ++i) {
    T* const g = gate_up.Row(i);
    if (activation == Activation::kSilu) {
      SiluBackward(dy.Row(i), dy.columns, g, g + dy.columns);
    } else {
      GeluBackward(dy.Row(i), dy.columns, g, g + dy.columns);
    }
  }
}

#define DASHF_INSTANTIATE(T)                                                \
  template void GatedUnitForward<T>(Activation, ConstMatrix<T>, Matrix<T>); \
  template void GatedUnitBackward<T>(Activation, ConstMatrix<T>, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
