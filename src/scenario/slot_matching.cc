#include "scenario/slot_matching.h"

#include <algorithm>

#include "base/check.h"

namespace dashf {
namespace {

constexpr int kUnreached = -1;

std::size_t At(int index) {
  return static_cast<std::size_t>(index);
}

class LayeredMatching {
 public:
  explicit LayeredMatching(const Scenario& scenario)
      : links_(scenario.links),
        server_of_user_(scenario.links.size(), -1),
        users_of_server_(scenario.servers.size()) {
    const int users = static_cast<int>(links_.size());
    for (const Server& server : scenario.servers) {
      slots_.push_back(std::min(server.slots.value_or(users), users));
    }
  }

  SlotMatching Run() {
    // Each phase lengthens the shortest augmenting path, which visits no server twice.
    for (std::size_t phase = 0; phase <= slots_.size() && BuildLayers(); ++phase) {
      next_link_.assign(links_.size(), 0);
      next_user_.assign(slots_.size(), 0);
      for (int user = 0; user < static_cast<int>(links_.size()); ++user) {
        if (server_of_user_[At(user)] < 0) Augment(user);
      }
    }
    return {server_of_user_, Shortages()};
  }

 private:
  bool IsFull(int server) const {
    return static_cast<int>(users_of_server_[At(server)].size()) >= slots_[At(server)];
  }

  // Breadth-first from all unmatched users over full servers and the users that hold their slots.
  // True if a free slot was reached.
  bool BuildLayers() {
    layer_.assign(slots_.size(), kUnreached);
    reached_users_.clear();
    for (int user = 0; user < static_cast<int>(links_.size()); ++user) {
      if (server_of_user_[At(user)] < 0) reached_users_.push_back(user);
    }
    bool free_slot = false;
    for (std::size_t begin = 0, layer = 0; begin < reached_users_.size() && !free_slot; ++layer) {
      const std::size_t end = reached_users_.size();
      for (; begin < end; ++begin) {
        for (const Link& link : links_[At(reached_users_[begin])]) {
          if (layer_[At(link.server)] != kUnreached) continue;
          layer_[At(link.server)] = static_cast<int>(layer);
          free_slot = free_slot || !IsFull(link.server);
          const auto& holders = users_of_server_[At(link.server)];
          reached_users_.insert(reached_users_.end(), holders.begin(), holders.end());
        }
      }
    }
    return free_slot;
  }

  // Depth-first along the layers. path_[i] = user who takes a slot at the server of his current
  // link; the user who held that slot is path_[i + 1].
  void Augment(int start) {
    path_.assign(1, start);
    while (!path_.empty()) {
      const int user = path_.back();
      const int layer = static_cast<int>(path_.size()) - 1;
      auto& link = next_link_[At(user)];
      const auto& links = links_[At(user)];
      while (link < links.size() && layer_[At(links[link].server)] != layer) ++link;
      if (link == links.size()) {
        path_.pop_back();  // A dead end: whoever wanted this user's slot asks the next holder.
        continue;
      }
      const int server = links[link].server;
      if (!IsFull(server)) {
        TakeSlots();
        return;
      }
      auto& holder = next_user_[At(server)];
      if (holder < users_of_server_[At(server)].size()) {
        path_.push_back(users_of_server_[At(server)][holder++]);
      } else {
        ++link;
      }
    }
  }

  void TakeSlots() {
    for (std::size_t i = path_.size(); i-- > 0;) {
      const int user = path_[i];
      const int server = links_[At(user)][next_link_[At(user)]].server;
      auto& holders = users_of_server_[At(server)];
      if (i + 1 < path_.size()) {
        *std::find(holders.begin(), holders.end(), path_[i + 1]) = user;
      } else {
        holders.push_back(user);
      }
      server_of_user_[At(user)] = server;
    }
  }

  std::vector<SlotShortage> Shortages() const {
    std::vector<SlotShortage> shortages;
    std::vector<bool> named(slots_.size(), false);
    for (int user = 0; user < static_cast<int>(links_.size()); ++user) {
      if (server_of_user_[At(user)] >= 0) continue;
      const auto& links = links_[At(user)];
      const bool known = std::all_of(
          links.begin(), links.end(), [&](const Link& link) { return named[At(link.server)]; });
      if (known && !links.empty()) continue;
      shortages.push_back(ShortageAround(user));
      for (const int server : shortages.back().servers) named[At(server)] = true;
    }
    return shortages;
  }

  // After the last phase an unmatched user reaches only full servers, whose holders reach only full
  // servers, and so on: one user more than slots. Any of them could hand a slot down to the first.
  SlotShortage ShortageAround(int unmatched) const {
    SlotShortage shortage;
    shortage.users.push_back(unmatched);
    std::vector<bool> reached(slots_.size(), false);
    for (std::size_t i = 0; i < shortage.users.size(); ++i) {
      for (const Link& link : links_[At(shortage.users[i])]) {
        if (reached[At(link.server)]) continue;
        reached[At(link.server)] = true;
        shortage.servers.push_back(link.server);
        shortage.slots += slots_[At(link.server)];
        const auto& holders = users_of_server_[At(link.server)];
        shortage.users.insert(shortage.users.end(), holders.begin(), holders.end());
      }
    }
    std::sort(shortage.users.begin(), shortage.users.end());
    std::sort(shortage.servers.begin(), shortage.servers.end());
    DASHF_CHECK(shortage.slots + 1 == static_cast<int>(shortage.users.size()));
    return shortage;
  }

  const std::vector<std::vector<Link>>& links_;
  std::vector<int> slots_;
  std::vector<int> server_of_user_;
  std::vector<std::vector<int>> users_of_server_;
  std::vector<int> layer_;              // Of each server in this phase.
  std::vector<int> reached_users_;      // In this phase's breadth-first order.
  std::vector<std::size_t> next_link_;  // Of each user: links before it are used up in this phase.
  std::vector<std::size_t> next_user_;  // Of each server: holders before it were asked.
  std::vector<int> path_;
};

}  // namespace

SlotMatching MatchSlots(const Scenario& scenario) {
  return LayeredMatching(scenario).Run();
}

}  // namespace dashf
