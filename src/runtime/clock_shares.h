// Whose optimiser step is next, so that users who train on one server at the same time have its
// clock in the proportion of their planned shares. Pure: time and costs are told to it.
//
// Earliest eligible virtual deadline first (Stoica and Abdel-Wahab 1995, Old Dominion University
// TR-95-22): a user may take a step once it has had no more than its share, and of those who may
// the one goes first for whom the longest step would be over first at its share. What a user has
// had then differs from its share by less than the longest step, however many users there are.
// Shares and costs are in any unit of work of the user's own where shares are kept strictly: who is
// to do a whole in 8 s has a share of 1/8 and steps that cost their part of it.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace dashf::runtime {

class ClockShares {
 public:
  // Work-conserving: what one user does not need the others get, and shares are relative to each
  // other. Otherwise each has its share of the server's time and no more, even if it then idles.
  explicit ClockShares(bool work_conserving) : work_conserving_(work_conserving) {}

  // From now on; what others had before is no debt of theirs. `share` > 0: of the server's clock,
  // per second.
  void Join(const std::string& user, double share, double now_s);
  void SetShare(const std::string& user, double share, double now_s);
  void Leave(const std::string& user, double now_s);

  struct Turn {
    std::string user;
    double at_s = 0.0;  // Not before; later than now only if shares are kept strictly.
  };
  std::optional<Turn> Next(double now_s) const;  // None if nobody is here.
  // The user's step had the server for so long.
  void Charge(const std::string& user, double served_s);
  // When all that the user has had will be its share: at once if work-conserving.
  double SettledAt(const std::string& user, double now_s) const;

 private:
  struct User {
    double share = 0.0;
    double eligible = 0.0;   // In virtual time: when what it has had is its share.
    double longest_s = 0.0;  // Of its steps so far.
  };
  // Runs as fast as the server serves one unit of share: 1 s per s if shares are kept strictly.
  double Virtual(double now_s) const { return work_conserving_ ? virtual_ : now_s; }

  const bool work_conserving_;
  std::map<std::string, User> users_;
  double total_share_ = 0.0;
  double virtual_ = 0.0;
};

}  // namespace dashf::runtime
