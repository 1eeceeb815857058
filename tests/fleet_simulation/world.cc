#include "world.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf::fleet {

World::World(std::uint64_t seed, bool trace) : rng_(seed), tracing_(trace) {
  loss_ = Chance(0.5) ? 0.0 : 0.3 * rng_.Uniform();
  duplicates_ = Chance(0.5) ? 0.0 : 0.2 * rng_.Uniform();
  delay_max_ = Chance(0.7) ? 100 : 5'000;
}

std::int64_t World::Uniform(std::int64_t low, std::int64_t high) {
  const double range = static_cast<double>(high - low + 1);
  return std::min(high, low + static_cast<std::int64_t>(rng_.Uniform() * range));
}

bool World::Chance(double probability) {
  return rng_.Uniform() < probability;
}

void World::After(Millis delay, std::function<void()> what) {
  queue_.push({now_ + std::max<Millis>(delay, 0), order_++, std::move(what)});
}

void World::Send(const NodeId& from, const NodeId& to, const std::function<void()>& what) {
  ++messages_;
  const auto path = std::minmax(from, to);
  if (cuts_.contains({path.first, path.second}) || Chance(loss_)) return;
  After(Uniform(1, delay_max_), what);
  if (Chance(duplicates_)) After(Uniform(1, 3 * delay_max_), what);
}

void World::Cut(const NodeId& a, const NodeId& b, bool cut) {
  const auto path = std::minmax(a, b);
  if (cut && faulty_) {
    cuts_.insert({path.first, path.second});
  } else {
    cuts_.erase({path.first, path.second});
  }
}

void World::Heal() {
  faulty_ = false;
  cuts_.clear();
  loss_ = 0.0;
}

void World::Run(Millis until, const std::function<bool()>& done) {
  while (!queue_.empty() && queue_.top().at <= until && broken_.empty() && !done()) {
    const auto what = std::move(const_cast<Due&>(queue_.top()).what);
    now_ = queue_.top().at;
    queue_.pop();
    what();
  }
  if (queue_.empty() || queue_.top().at > until) now_ = std::max(now_, until);
}

void World::Break(const std::string& property) {
  if (broken_.empty())
    broken_ = fmt::format("at {} s: {}", 1e-3 * static_cast<double>(now_ - 1'000'000), property);
  Note("BROKEN: " + property);
}

void World::Note(const std::string& line) {
  if (tracing_) {
    trace_.push_back(
        fmt::format("{:10.3f}  {}", 1e-3 * static_cast<double>(now_ - 1'000'000), line));
  }
}

}  // namespace dashf::fleet
