// The processes that work on one computation together, numbered from 0. Rank 0 leads: it alone
// reads, decides and writes; the others do what it tells them. The interface knows no MPI, so that
// whoever shares work out does not either; src/mpi implements it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace dashf {

// For one thread of each process. A process that fails ends all of them: no call returns an error.
class Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int rank() const = 0;   // 0 .. count() - 1.
  virtual int count() const = 0;  // >= 1.
  // Messages between two ranks arrive in order; the receiver knows how long the next one is.
  virtual void Send(int to, std::span<const std::byte> bytes) = 0;
  virtual void Receive(int from, std::span<std::byte> bytes) = 0;
};

// Rank 0's bytes become everyone's. All ranks call it; whoever has them passes them on, so that
// they have gone round after log2(count) messages.
inline void Broadcast(Ranks* ranks, std::span<std::byte> bytes) {
  const int rank = ranks->rank(), count = ranks->count();
  for (int having = 1; having < count; having *= 2) {
    if (rank >= having && rank < 2 * having) ranks->Receive(rank - having, bytes);
    if (rank < having && rank + having < count) ranks->Send(rank + having, bytes);
  }
}

// Adds every rank's terms to `sum` in the order of ranks 1, 2, ..., count - 1, 0, whatever their
// number: the sum's rounding is that of one process that adds all terms in this order. On entry
// `sum` is what to start from, the same everywhere; rank 0 ends with the result, the others with
// nothing of use. add(begin, end) adds the rank's own terms to the entries begin .. end - 1. All
// ranks call it; no ranks (nullptr) are one process. Piece by piece, so that the ranks work at
// once.
template <class Add>
void SumInOrder(Ranks* ranks, std::span<double> sum, const Add& add) {
  constexpr std::size_t kPiece = 8192;
  const int count = ranks == nullptr ? 1 : ranks->count();
  if (count == 1) {
    add(std::size_t{0}, sum.size());
    return;
  }
  const int rank = ranks->rank();
  for (std::size_t begin = 0; begin < sum.size(); begin += kPiece) {
    const auto piece = sum.subspan(begin, std::min(kPiece, sum.size() - begin));
    if (rank != 1) ranks->Receive((rank + count - 1) % count, std::as_writable_bytes(piece));
    add(begin, begin + piece.size());
    if (rank != 0) ranks->Send((rank + 1) % count, std::as_bytes(piece));
  }
}

}  // namespace dashf
