// Random numbers that are the same on every platform: xoshiro256++ (Blackman and Vigna, 2019)
// seeded through splitmix64, with the distributions written out (the standard library's differ by
// vendor). One numbered or named stream per purpose, so that one more draw for fading moves no
// user.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

namespace dashf {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : seed_(seed) {
    for (auto& word : state_) word = SplitMix(&seed);
  }

  // An independent generator for one purpose; depends on this generator's seed and the name alone.
  Rng Stream(std::string_view name) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed_;  // FNV-1a, started from the seed.
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return Rng(SplitMix(&hash));
  }
  Rng Stream(std::uint64_t index) const {
    std::uint64_t mixed = seed_ + 0x632be59bd9b4e019ULL * (index + 1);
    return Rng(SplitMix(&mixed));
  }

  std::uint64_t Next() {
    const std::uint64_t result = Rotate(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, 1), with 53 random bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // Uniform in {0, ..., bound - 1}; bound >= 1. The modulo's bias is below bound / 2^64.
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  // Standard normal, by Box and Muller.
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-Uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * Uniform());
  }
  // Exponential with mean 1: the power gain of a Rayleigh-fading channel.
  double Exponential() { return -std::log1p(-Uniform()); }

  std::vector<int> Permutation(int n) {
    std::vector<int> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    Shuffle(&order);
    return order;
  }
  template <class T>
  void Shuffle(std::vector<T>* items) {
    for (std::size_t i = items->size(); i > 1; --i) std::swap((*items)[i - 1], (*items)[Below(i)]);
  }

 private:
  static std::uint64_t SplitMix(std::uint64_t* state) {
    std::uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  static std::uint64_t Rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

  std::uint64_t seed_;
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace dashf
