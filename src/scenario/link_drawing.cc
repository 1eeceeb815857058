#include "scenario/link_drawing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace dashf {
namespace {

constexpr double kFadeMin = 1e-6;  // A draw of 0 would cut the link for good.
constexpr double kFadeMax = 37.0;  // Above 53 ln 2, the largest draw.

// Where the path gain of TR 36.814, not clamped, falls to `gain`.
double ReachM(double gain) {
  return 1000.0 * std::pow(10.0, (-10.0 * std::log10(gain) - 128.1) / 37.6);
}

// The strongest links that were offered, in a heap with the weakest on top once it is full.
class StrongestLinks {
 public:
  explicit StrongestLinks(std::size_t count) : count_(count) {}

  void Offer(const Link& link) {
    if (!(link.gain > 0.0)) return;
    if (links_.size() == count_) {
      if (link.gain <= links_.front().gain) return;
      std::pop_heap(links_.begin(), links_.end(), Weaker);
      links_.back() = link;
    } else {
      links_.push_back(link);
    }
    std::push_heap(links_.begin(), links_.end(), Weaker);
  }
  // The gain that a link must surpass, once there are as many as wanted.
  std::optional<double> Least() const {
    if (links_.size() < count_) return std::nullopt;
    return links_.front().gain;
  }
  std::vector<Link> TakeByServer() {
    std::sort(links_.begin(), links_.end(), [](const Link& a, const Link& b) {
      return a.server < b.server;
    });
    return std::move(links_);
  }

 private:
  static bool Weaker(const Link& a, const Link& b) { return a.gain > b.gain; }

  std::size_t count_;
  std::vector<Link> links_;
};

}  // namespace

// Where candidates are few, servers too far for even the luckiest fade are passed over unseen, if
// the path gain depends on the distance alone.
std::vector<Link> DrawLinks(const Geography& places,
                            const GeneratorOptions& options,
                            std::size_t n,
                            std::size_t candidates,
                            const Rng& rng) {
  const Rng fading = rng.Stream("fading").Stream(n), paths = rng.Stream("paths").Stream(n);
  const bool by_distance =
      options.channel.model == ChannelModel::kTr36814 && candidates < places.servers.size();
  StrongestLinks strongest(candidates);
  double reach2_max = std::numeric_limits<double>::infinity();
  for (std::size_t m = 0; m < places.servers.size(); ++m) {
    const double x_m = places.users[n].x_m - places.servers[m].x_m;
    const double y_m = places.users[n].y_m - places.servers[m].y_m;
    const auto radius_m = places.server_equipment.empty()
                              ? std::optional<double>()
                              : places.server_equipment[m].coverage_radius_m;
    if (radius_m && !(std::hypot(x_m, y_m) <= *radius_m)) continue;
    if (options.gains) {
      strongest.Offer({static_cast<int>(m), options.gains->At(n, m)});
      continue;
    }
    if (x_m * x_m + y_m * y_m > reach2_max) continue;
    const double fade =
        options.channel.fading ? std::max(fading.Stream(m).Exponential(), kFadeMin) : 1.0;
    const double path = DrawPathGain(options.channel, std::hypot(x_m, y_m), paths.Stream(m));
    strongest.Offer({static_cast<int>(m), path * fade});
    if (const auto least = strongest.Least(); least && by_distance) {
      const double reach_m = std::max(kChannelDistanceMinM, ReachM(*least / kFadeMax));
      reach2_max = 1.001 * reach_m * reach_m;
    }
  }
  return strongest.TakeByServer();
}

}  // namespace dashf
