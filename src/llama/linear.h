// Rows through projections that share their input, with each slot's LoRA beside them.
#pragma once

#include <span>

#include "llama/adapter_layout.h"
#include "llama/matrix.h"
#include "llama/weights.h"

namespace dashf::llama {

// Neighbouring projections first..last - 1 of one group, as one matrix w (out, in).
template <class T>
struct Linear {
  const ModelConfig* config = nullptr;
  const LayerWeights* weights = nullptr;
  const LayerPlaces* places = nullptr;
  std::span<const Slot<T>> slots;
  int first = kQ, last = kQ;

  std::int64_t In() const;
  std::int64_t Out() const;
  int Rank() const;  // R: of all its projections together.
};

// Room for one call at a time.
template <class T>
struct LinearScratch {
  T* tile = nullptr;       // StoredMatrix::ScratchElements(in).
  T* stacked_a = nullptr;  // R in.
  T* dh = nullptr;         // N R.
};

// y (N, out) = x w' + bias + s (x a') b', or added to y; x (N, in). h (N, R) = x a' is kept for the
// backward: the projections' factors side by side.
enum class Into { kOverwrite, kAdd };
template <class T>
void LinearForward(const Linear<T>& linear,
                   std::span<const SlotRows> slots,
                   ConstMatrix<T> x,
                   Into into,
                   const LinearScratch<T>& scratch,
                   Matrix<T> h,
                   Matrix<T> y);

// w and the bias are frozen. With dh = s dy b:
//   db += s dy' h,  da += dh' x  where `trained`,   dx = dy w + dh a  where dx.data is set.
// x is read where `trained` alone.
template <class T>
void LinearBackward(const Linear<T>& linear,
                    std::span<const SlotRows> slots,
                    ConstMatrix<T> x,
                    ConstMatrix<T> h,
                    ConstMatrix<T> dy,
                    bool trained,
                    const LinearScratch<T>& scratch,
                    Matrix<T> dx);

}  // namespace dashf::llama
