#include "llama/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "llama/vector_math.h"

namespace dashf::llama {
namespace {

// theta^(-2 i / head_dim).
std::vector<double> Frequencies(double theta, int head_dim) {
  std::vector<double> frequencies;
  for (int i = 0; i < head_dim / 2; ++i) {
    frequencies.push_back(std::pow(theta, -2.0 * i / head_dim));
  }
  return frequencies;
}

// The model's, with Llama 3's stretching: wavelengths above original / low_freq_factor are
// multiplied by `factor`, those below original / high_freq_factor are kept, those between are
// interpolated.
std::vector<double> Frequencies(const ModelConfig& config) {
  std::vector<double> frequencies = Frequencies(config.rope_theta, config.head_dim);
  for (double& frequency : frequencies) {
    frequency /= config.rope_linear_factor;
    if (config.rope_llama3) {
      const Llama3Rope& rope = *config.rope_llama3;
      const double turns =
          rope.original_max_position_embeddings * frequency / (2.0 * std::numbers::pi);
      const double kept = std::clamp(
          (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor),
          0.0,
          1.0);
      frequency *= kept + (1.0 - kept) / rope.factor;
    }
  }
  return frequencies;
}

template <class T>
DASHF_INLINE void TurnRow(
    const T* cos, const T* sin, T sign, std::int64_t half, std::int64_t heads, T* x) {
  for (std::int64_t h = 0; h < heads; ++h, x += 2 * half) {
#pragma omp simd
    for (std::int64_t i = 0; i < half; ++i) {
      const T low = x[i], high = x[i + half], s = sign * sin[i];
      x[i] = low * cos[i] - high * s;
      x[i + half] = high * cos[i] + low * s;
    }
  }
}

DASHF_VECTORISED void Turned(const float* cos,
                             const float* sin,
                             float sign,
                             std::int64_t half,
                             std::int64_t heads,
                             float* x) {
  TurnRow(cos, sin, sign, half, heads, x);
}
void Turned(const double* cos,
            const double* sin,
            double sign,
            std::int64_t half,
            std::int64_t heads,
            double* x) {
  TurnRow(cos, sin, sign, half, heads, x);
}

}  // namespace

template <class T>
Rotary<T>::Rotary(const ModelConfig& config, std::int64_t positions)
    : config_(config), half_(config.head_dim / 2) {
  const auto fill = [&](const std::vector<double>& frequencies, Table* table) {
    for (std::int64_t t = 0; t < positions; ++t) {
      for (const double frequency : frequencies) {
        table->cos.push_back(static_cast<T>(std::cos(static_cast<double>(t) * frequency)));
        table->sin.push_back(static_cast<T>(std::sin(static_cast<double>(t) * frequency)));
      }
    }
  };
  fill(Frequencies(config), &plain_);
  if (config.rope_theta_windowed) {
    fill(Frequencies(*config.rope_theta_windowed, config.head_dim), &windowed_);
  }
}

template <class T>
std::int64_t Rotary<T>::Elements(const ModelConfig& config, std::int64_t positions) {
  return (config.rope_theta_windowed ? 2 : 1) * positions * config.head_dim;
}

template <class T>
void Rotary<T>::Turn(int layer, std::span<const int> positions, Way way, Matrix<T> x) const {
  DASHF_CHECK(std::ssize(positions) == x.rows && x.columns % (2 * half_) == 0);
  if (!config_.Rotates(layer)) return;
  const bool own = config_.rope_theta_windowed && config_.WindowOf(layer) > 0;
  const Table& table = own ? windowed_ : plain_;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const std::int64_t at = positions[static_cast<std::size_t>(i)] * half_;
    DASHF_CHECK(at >= 0 && at + half_ <= std::ssize(table.cos));
    const T sign = way == Way::kForward ? T{1} : T{-1};
    Turned(table.cos.data() + at,
           table.sin.data() + at,
           sign,
           half_,
           x.columns / (2 * half_),
           x.Row(i));
  }
}

template class Rotary<float>;
template class Rotary<double>;

}  // namespace dashf::llama
