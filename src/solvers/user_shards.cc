#include "solvers/user_shards.h"

#include <memory>

namespace dashf::solvers {
namespace internal {
namespace {

template <class T>
void SendValues(int to, std::span<const T> values, Ranks* ranks) {
  ranks->Send(to, std::as_bytes(values));
}

template <class T>
void ReceiveValues(int from, std::span<T> values, Ranks* ranks) {
  ranks->Receive(from, std::as_writable_bytes(values));
}

template <class T>
void SendArray(int to, std::span<const T> values, Ranks* ranks) {
  const std::uint64_t size = values.size();
  SendValues<std::uint64_t>(to, {&size, 1}, ranks);
  if (size > 0) SendValues(to, values, ranks);
}

template <class T>
std::vector<T> ReceiveArray(int from, Ranks* ranks) {
  std::uint64_t size = 0;
  ReceiveValues<std::uint64_t>(from, {&size, 1}, ranks);
  std::vector<T> values(size);
  if (size > 0) ReceiveValues<T>(from, values, ranks);
  return values;
}

// Which entries of an array belong to some users.
enum class Per { kProblem, kUser, kUserBegin, kLink, kSplit };

// Calls f(per, member) for every member of a problem. A member that ScrProblem gains does not
// compile until it is named here, that is, sent.
template <class Problem, class F>
void ForEachMember(Problem& problem, const F& f) {
  auto& [delay,
         delay_weight,
         energy_weight,
         score_scale,
         score_gain,
         power,
         clock,
         kappa,
         layers,
         link_begin,
         link_server,
         link_snr,
         split_begin,
         split_layers,
         local_cycle,
         local_j,
         server_flop,
         upload_bit,
         download_bit,
         bandwidth,
         server_power,
         server_clock,
         flop_per_cycle,
         server_kappa,
         energy_j_per_flop,
         slots] = problem;
  const auto each = [&f](Per per, auto&... members) { (f(per, members), ...); };
  each(Per::kProblem, delay, delay_weight, energy_weight, score_scale, score_gain);
  each(Per::kUser, power, clock, kappa, layers);
  each(Per::kUserBegin, link_begin, split_begin);
  each(Per::kLink, link_server, link_snr);
  each(Per::kSplit, split_layers, local_cycle, local_j, server_flop, upload_bit, download_bit);
  each(Per::kProblem,
       bandwidth,
       server_power,
       server_clock,
       flop_per_cycle,
       server_kappa,
       energy_j_per_flop,
       slots);
}

class UsersSender {
 public:
  UsersSender(const ScrProblem& problem, std::size_t begin, std::size_t end, int to, Ranks* ranks)
      : problem_(problem), begin_(begin), end_(end), to_(to), ranks_(*ranks) {}

  template <class T>
  void operator()(Per per, const std::vector<T>& all) const {
    const auto link = [this](std::size_t n) { return problem_.link_begin[n]; };
    const auto split = [this](std::size_t n) { return problem_.split_begin[n]; };
    std::size_t from = 0, to = all.size();
    if (per == Per::kUser || per == Per::kUserBegin) {
      from = begin_;
      to = end_ + (per == Per::kUserBegin ? 1 : 0);
    } else if (per == Per::kLink) {
      from = static_cast<std::size_t>(link(begin_));
      to = static_cast<std::size_t>(link(end_));
    } else if (per == Per::kSplit) {
      from = static_cast<std::size_t>(split(begin_));
      to = static_cast<std::size_t>(split(end_));
    }
    SendArray(to_, std::span(all).subspan(from, to - from), &ranks_);
  }
  template <class T>
  void operator()(Per, const T& number) const {
    SendValues<T>(to_, {&number, 1}, &ranks_);
  }

 private:
  const ScrProblem& problem_;
  const std::size_t begin_, end_;
  const int to_;
  Ranks& ranks_;
};

struct UsersReceiver {
  Ranks& ranks;

  template <class T>
  void operator()(Per per, std::vector<T>& mine) const {
    mine = ReceiveArray<T>(0, &ranks);
    if constexpr (std::is_same_v<T, int>) {
      if (per != Per::kUserBegin) return;
      const int first = mine.front();
      for (int& entry : mine) entry -= first;
    }
  }
  template <class T>
  void operator()(Per, T& number) const {
    ReceiveValues<T>(0, {&number, 1}, &ranks);
  }
};

// A rank's own users, ready to reply.
class Shard {
 public:
  explicit Shard(Ranks* ranks)
      : constants_(ReceiveArray<ReplyConstants>(0, ranks).front()),
        threads_(ReceiveArray<int>(0, ranks).front()),
        problem_(Receive(ranks)),
        columns_(MakeColumns(problem_, true)),
        users_(problem_, columns_, constants_, threads_, ranks) {}

  void Do(const Errand& errand, const ServerVector& vectors) {
    const DualPoint at{errand.y, vectors};
    switch (errand.kind) {
      case Errand::kRefresh:
        users_.Refresh(at, errand.window_or_eta, errand.count, errand.thorough != 0);
        break;
      case Errand::kSweep:
        users_.Sweep(at, errand.window_or_eta);
        break;
      case Errand::kTimes:
        users_.Times(vectors, errand.window_or_eta, &product_);
        break;
      case Errand::kGather:
        users_.Gather();
        break;
      case Errand::kTakeUsers:
      case Errand::kEnd:
        break;
    }
  }

 private:
  static ScrProblem Receive(Ranks* ranks) {
    ScrProblem problem;
    ForEachMember(problem, UsersReceiver{*ranks});
    return problem;
  }

  const ReplyConstants constants_;
  const int threads_;
  const ScrProblem problem_;
  const Columns columns_;
  PricedUsers users_;
  ServerVector product_;
};

}  // namespace

void Announce(const Errand& errand, const ServerVector& vectors, Ranks* ranks) {
  Errand sent = errand;
  Broadcast(ranks, std::as_writable_bytes(std::span(&sent, 1)));
  ServerVector copy = vectors;  // Rank 0's bytes are only read.
  if (!copy.empty()) Broadcast(ranks, std::as_writable_bytes(std::span(copy)));
}

ChunkRange OwnChunks(int rank, int ranks, std::size_t chunks) {
  const auto place = static_cast<std::size_t>((rank + ranks - 1) % ranks);
  const auto parts = static_cast<std::size_t>(ranks);
  return {chunks * place / parts, chunks * (place + 1) / parts};
}

void ShareOutUsers(const ScrProblem& problem,
                   const ReplyConstants& constants,
                   int threads,
                   const std::vector<ReplyChunk>& chunks,
                   Ranks* ranks) {
  Announce({.kind = Errand::kTakeUsers}, {}, ranks);
  for (int rank = 1; rank < ranks->count(); ++rank) {
    const ChunkRange own = OwnChunks(rank, ranks->count(), chunks.size());
    const std::size_t begin = own.begin < own.end ? chunks[own.begin].user_begin : 0;
    const std::size_t end = own.begin < own.end ? chunks[own.end - 1].user_end : 0;
    SendArray<ReplyConstants>(rank, {&constants, 1}, ranks);
    SendArray<int>(rank, {&threads, 1}, ranks);
    ForEachMember(problem, UsersSender(problem, begin, end, rank, ranks));
  }
}

void SendReplies(const std::vector<ReplyChunk>& chunks,
                 const std::vector<float>& psi,
                 Ranks* ranks) {
  for (const ReplyChunk& chunk : chunks) {
    SendArray<int>(0, chunk.begin, ranks);
    SendArray<int>(0, chunk.column, ranks);
  }
  SendArray<float>(0, psi, ranks);
}

void GatherReplies(const Columns& columns,
                   Ranks* ranks,
                   std::vector<ReplyChunk>* chunks,
                   std::vector<float>* psi) {
  for (int rank = 1; rank < ranks->count(); ++rank) {
    const ChunkRange own = OwnChunks(rank, ranks->count(), chunks->size());
    const std::size_t first_user = own.begin < own.end ? (*chunks)[own.begin].user_begin : 0;
    const int first = columns.begin[first_user];
    for (std::size_t i = own.begin; i < own.end; ++i) {
      (*chunks)[i].begin = ReceiveArray<int>(rank, ranks);
      (*chunks)[i].column = ReceiveArray<int>(rank, ranks);
      for (int& column : (*chunks)[i].column) column += first;
    }
    const std::vector<float> received = ReceiveArray<float>(rank, ranks);
    std::copy(received.begin(), received.end(), psi->begin() + first);
  }
}

}  // namespace internal

void ReplyForRankZero(Ranks* ranks) {
  using internal::Errand;
  std::unique_ptr<internal::Shard> shard;
  internal::ServerVector vectors;
  for (Errand errand; true;) {
    Broadcast(ranks, std::as_writable_bytes(std::span(&errand, 1)));
    if (errand.kind == Errand::kEnd) return;
    vectors.resize(errand.servers);
    if (errand.servers > 0) Broadcast(ranks, std::as_writable_bytes(std::span(vectors)));
    if (errand.kind == Errand::kTakeUsers) {
      shard.reset();
      shard = std::make_unique<internal::Shard>(ranks);
    } else {
      shard->Do(errand, vectors);
    }
  }
}

void EndReplies(Ranks* ranks) {
  internal::Announce({.kind = internal::Errand::kEnd}, {}, ranks);
}

}  // namespace dashf::solvers
