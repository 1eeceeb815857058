#include "runtime/clock_shares.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace dashf::runtime {

void ClockShares::Join(const std::string& user, double share, double now_s) {
  DASHF_CHECK(share > 0.0 && std::isfinite(share));
  const bool added = users_.emplace(user, User{share, Virtual(now_s), 0.0}).second;
  DASHF_CHECK(added);
  total_share_ += share;
}

// Keeps what it is behind or ahead.
void ClockShares::SetShare(const std::string& user, double share, double now_s) {
  DASHF_CHECK(share > 0.0 && std::isfinite(share));
  User& changed = users_.at(user);
  const double now = Virtual(now_s);
  changed.eligible = now - (now - changed.eligible) * changed.share / share;
  total_share_ += share - changed.share;
  changed.share = share;
}

// What it is behind goes to the others, so that they all are at their shares again on average.
void ClockShares::Leave(const std::string& user, double now_s) {
  const User gone = users_.at(user);
  users_.erase(user);
  if (users_.empty()) {
    total_share_ = 0.0;
    return;
  }
  total_share_ -= gone.share;
  if (work_conserving_) virtual_ += (Virtual(now_s) - gone.eligible) * gone.share / total_share_;
}

std::optional<ClockShares::Turn> ClockShares::Next(double now_s) const {
  if (users_.empty()) return std::nullopt;
  double longest_s = 0.0;
  for (const auto& [name, user] : users_) longest_s = std::max(longest_s, user.longest_s);
  // Kept strictly, shares of several users may be of different units.
  const auto deadline = [this, longest_s](const User& user) {
    return user.eligible + (work_conserving_ ? longest_s : user.longest_s) / user.share;
  };
  const double now = Virtual(now_s);
  const auto* next = &*users_.begin();
  const auto* first = next;  // To become eligible.
  for (const auto& candidate : users_) {
    const User &one = candidate.second, &other = next->second;
    if (one.eligible < first->second.eligible) first = &candidate;
    const bool may = one.eligible <= now, other_may = other.eligible <= now;
    if (may && (!other_may || deadline(one) < deadline(other))) next = &candidate;
  }
  if (next->second.eligible <= now) return Turn{next->first, now_s};
  // Somebody may always step where work is conserved; here by rounding alone nobody may.
  return Turn{first->first, work_conserving_ ? now_s : first->second.eligible};
}

void ClockShares::Charge(const std::string& user, double served_s) {
  User& served = users_.at(user);
  served.longest_s = std::max(served.longest_s, served_s);
  served.eligible += served_s / served.share;
  virtual_ += served_s / total_share_;
}

double ClockShares::SettledAt(const std::string& user, double now_s) const {
  return work_conserving_ ? now_s : std::max(now_s, users_.at(user).eligible);
}

}  // namespace dashf::runtime
