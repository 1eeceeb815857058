#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "report/html.h"
#include "report/svg.h"

namespace dashf::report {
namespace {

constexpr std::size_t kLabelledUsersMax = 60;
constexpr std::size_t kLabelledServersMax = 20;

// The largest of 1, 2, 5 times a power of ten that is at most x > 0.
double RoundDown(double x) {
  const double power = std::pow(10.0, std::floor(std::log10(x)));
  for (const double step : {5.0, 2.0}) {
    if (step * power <= x) return step * power;
  }
  return power;
}

// Metres to picture, y up, equal scales.
class Projection {
 public:
  explicit Projection(const Scenario& scenario) {
    for (const User& user : scenario.users) Include(user.position_m);
    for (const Server& server : scenario.servers) Include(server.position_m);
    const double width_m = std::max(high_.x_m - low_.x_m, 1.0);
    const double height_m = std::max(high_.y_m - low_.y_m, 1.0);
    pixel_per_m_ =
        std::min((kWidth - 2 * kMargin) / width_m, (kHeightMax - 2 * kMargin) / height_m);
    offset_x_ = (kWidth - pixel_per_m_ * (high_.x_m - low_.x_m)) / 2;
    height_ = pixel_per_m_ * (high_.y_m - low_.y_m) + 2 * kMargin + kFooter;
  }
  double X(const Position& p) const { return offset_x_ + pixel_per_m_ * (p.x_m - low_.x_m); }
  double Y(const Position& p) const { return kMargin + pixel_per_m_ * (high_.y_m - p.y_m); }
  double height() const { return height_; }
  double pixel_per_m() const { return pixel_per_m_; }

 private:
  static constexpr double kMargin = 28.0;
  static constexpr double kFooter = 22.0;
  static constexpr double kHeightMax = 520.0;

  void Include(const Position& p) {
    low_ = {std::min(low_.x_m, p.x_m), std::min(low_.y_m, p.y_m)};
    high_ = {std::max(high_.x_m, p.x_m), std::max(high_.y_m, p.y_m)};
  }

  Position low_{std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
  Position high_{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::lowest()};
  double pixel_per_m_ = 1.0;
  double offset_x_ = 0.0;
  double height_ = 0.0;
};

std::string ScaleBar(const Projection& projection) {
  const double length_m = RoundDown(0.25 * kWidth / projection.pixel_per_m());
  const double x = 12.0;
  const double y = projection.height() - 10.0;
  const double end = x + length_m * projection.pixel_per_m();
  return Line(x, y, end, y, R"(class="axis" stroke-width="2")") +
         Text(end + 8, y + 4, "start", WithUnit(length_m, "m"));
}

}  // namespace

std::string MapSvg(const RunDirectory& run) {
  const Scenario& scenario = run.loaded.scenario;
  const Projection at(scenario);
  std::string links;
  std::string users;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const User& user = scenario.users[n];
    const int m = run.plan.plan[n].server;
    const Server& server = scenario.servers[static_cast<std::size_t>(m)];
    const std::string colour = ServerColour(m);
    const bool failed = run.round && run.round->users[n].failure;
    const double x = at.X(user.position_m);
    const double y = at.Y(user.position_m);
    links += Line(x,
                  y,
                  at.X(server.position_m),
                  at.Y(server.position_m),
                  fmt::format(R"(stroke="{}" stroke-opacity="0.45" stroke-width="1.4"{})",
                              colour,
                              failed ? R"( stroke-dasharray="3 4")" : ""));
    users += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="{}" {}><title>{} at {}, {} of {} layers{}</title></circle>)",
        x,
        y,
        scenario.users.size() > kLabelledUsersMax ? 3 : 6,
        failed ? fmt::format(R"(class="hollow" stroke="{}" stroke-width="2")", colour)
               : fmt::format(R"(fill="{}")", colour),
        Escape(Label(user)),
        Escape(Label(server)),
        run.plan.plan[n].local_layers,
        scenario.ProfileOf(user).layers(),
        failed ? ", failed" : "");
    if (scenario.users.size() <= kLabelledUsersMax) users += Text(x + 9, y + 4, "start", user.id);
  }
  std::string servers;
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    const Server& server = scenario.servers[m];
    const double half = scenario.servers.size() > kLabelledServersMax ? 4.5 : 9.0;
    const double x = at.X(server.position_m);
    const double y = at.Y(server.position_m);
    servers += fmt::format(
        R"(<rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="2" fill="{}" class="server"><title>{}</title></rect>)",
        x - half,
        y - half,
        2 * half,
        2 * half,
        ServerColour(static_cast<int>(m)),
        Escape(Label(server)));
    if (scenario.servers.size() <= kLabelledServersMax) {
      servers += R"(<g class="strong">)" + Text(x, y - half - 4, "middle", server.id) + "</g>";
    }
  }
  return OpenSvg(kWidth, at.height(), "Map of users and servers") + links + users + servers +
         ScaleBar(at) + "</svg>";
}

std::string HistorySvg(const std::vector<IterationRecord>& history) {
  std::vector<const IterationRecord*> rows;
  for (const IterationRecord& record : history) {
    if (std::isfinite(record.scr)) rows.push_back(&record);
  }
  if (rows.size() < 2) return {};
  double low = rows[0]->scr;
  double high = rows[0]->scr;
  for (const IterationRecord* row : rows) {
    low = std::min(low, row->scr);
    high = std::max(high, row->scr);
  }
  const double pad = high > low ? 0.06 * (high - low) : std::max(1e-9, 0.1 * std::abs(high));
  const Frame frame{0.0, static_cast<double>(rows.size() - 1), low - pad, high + pad};
  std::string svg = OpenSvg(kWidth, frame.height, "SCR over the planner's iterations");
  std::vector<double> levels = {low};
  for (int i = 1; i <= 3 && high > low; ++i) levels.push_back(low + (high - low) * i / 3.0);
  const std::vector<std::string> labels = TickLabels(levels, 4);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    svg += frame.HorizontalTick(levels[i], labels[i]);
  }
  const std::size_t step = std::max<std::size_t>(1, rows.size() / 8);
  for (std::size_t i = 0; i < rows.size(); i += step) {
    svg += frame.VerticalTick(static_cast<double>(i), fmt::format("{}", rows[i]->iteration));
  }
  std::string points;
  std::string dots;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double x = frame.X(static_cast<double>(i));
    const double y = frame.Y(rows[i]->scr);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    dots += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="3" class="accent"><title>{}: {} {:.6g}</title></circle>)",
        x,
        y,
        rows[i]->iteration,
        Escape(rows[i]->step),
        rows[i]->scr);
  }
  svg += fmt::format(R"(<polyline points="{}" class="curve"/>)", points) + dots;
  return svg + Text(kWidth / 2, frame.height - 6, "middle", "iteration") + "</svg>";
}

std::string PhasesSvg(const std::vector<PhasePoint>& points) {
  if (points.empty()) return {};
  double low = points[0].predicted_s;
  double high = low;
  for (const PhasePoint& point : points) {
    low = std::min({low, point.predicted_s, point.measured_s});
    high = std::max({high, point.predicted_s, point.measured_s});
  }
  low = std::floor(std::log10(low) - 0.05);
  high = std::max(std::ceil(std::log10(high) + 0.05), low + 1.0);
  const Frame frame{low, high, low, high, 400.0};
  std::string svg = OpenSvg(kWidth, frame.height, "Predicted against measured phase times");
  const double band = std::log10(1.15);
  svg += fmt::format(
      R"(<clipPath id="plot"><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/></clipPath>)",
      frame.X(low),
      frame.Y(high),
      frame.X(high) - frame.X(low),
      frame.Y(low) - frame.Y(high));
  svg += fmt::format(
      R"svg(<polygon clip-path="url(#plot)" class="band" points="{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}"/>)svg",
      frame.X(low),
      frame.Y(low + band),
      frame.X(high),
      frame.Y(high + band),
      frame.X(high),
      frame.Y(high - band),
      frame.X(low),
      frame.Y(low - band));
  const double step = std::max(1.0, std::ceil((high - low) / 8.0));
  for (double decade = low; decade <= high; decade += step) {
    const std::string label = WithUnit(RoundDown(std::pow(10.0, decade) * 1.001), "s");
    svg += frame.HorizontalTick(decade, label) + frame.VerticalTick(decade, label);
  }
  svg += Line(frame.X(low), frame.Y(low), frame.X(high), frame.Y(high), R"(class="axis")");
  for (const PhasePoint& point : points) {
    svg += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="4.5" fill="{}" fill-opacity="0.8"><title>{}: predicted {}, measured {}</title></circle>)",
        frame.X(std::log10(point.predicted_s)),
        frame.Y(std::log10(point.measured_s)),
        ServerColour(point.phase),
        Escape(point.label),
        WithUnit(point.predicted_s, "s"),
        WithUnit(point.measured_s, "s"));
  }
  for (int phase = 0; phase < 4; ++phase) {
    const double x = Frame::kLeft + 16;
    const double y = Frame::kTop + 16 + 18 * phase;
    svg +=
        fmt::format(
            R"(<circle cx="{:.1f}" cy="{:.1f}" r="4.5" fill="{}"/>)", x, y, ServerColour(phase)) +
        Text(x + 10, y + 4, "start", kPhaseNames[phase]);
  }
  return svg + Text(kWidth / 2, frame.height - 6, "middle", "predicted (measured upwards)") +
         "</svg>";
}

}  // namespace dashf::report
