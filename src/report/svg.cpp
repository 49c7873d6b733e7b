// Charts as SVG: plain shapes and text, black on nothing, in colours that are told apart without colour vision (Okabe and
// Ito 2008).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/markup.h"
#include "report/writers.h"

namespace eke::report {

namespace {

constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
constexpr double kWidth = 720, kPlotHeight = 300, kRowHeight = 20, kTop = 44, kRight = 24, kBottom = 54;
constexpr double kCharWidth = 6.6;  // of the 12 pixel font, on average
constexpr std::size_t kLongestLabel = 40;

std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  return text.substr(0, most / 2 - 1) + "..." + text.substr(text.size() - (most / 2 - 2));
}

// Values from low to high over so many pixels from `begin` on; ticks at round values.
class Axis {
 public:
  Axis(double low, double high, double begin, double end) : begin_(begin), end_(end) {
    if (!(high > low)) {
      const double room = std::max(std::abs(high), 1.0) * 0.5;
      low -= room;
      high += room;
    }
    const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    step_ = power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
    low_ = std::floor(low / step_) * step_;
    high_ = std::ceil(high / step_) * step_;
  }
  double at(double value) const { return begin_ + (value - low_) / (high_ - low_) * (end_ - begin_); }
  std::vector<double> ticks() const {
    std::vector<double> list;
    const auto count = static_cast<int>(std::lround((high_ - low_) / step_));
    for (int i = 0; i <= count; ++i) {
      const double value = low_ + i * step_;
      list.push_back(std::abs(value) < step_ * 1e-9 ? 0 : value);
    }
    return list;
  }

 private:
  double begin_, end_, step_, low_, high_;
};

struct Span {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2,
                     style);
}
std::string words(double x, double y, const char* anchor, const std::string& text,
                  const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(text));
}
const std::string kGrid = "stroke=\"#ccc\"", kInk = "stroke=\"#000\"";

std::string frame(double height, const std::string& title, const std::string& body) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1:.0f}\" viewBox=\"0 0 {0} "
             "{1:.0f}\" "
             "font-family=\"sans-serif\" font-size=\"12\">\n<title>{2}</title>\n",
             kWidth, height, escaped(title)) +
         words(kWidth / 2, 18, "middle", shortened(title, 100), " font-size=\"14\"") + body + "</svg>\n";
}

std::string legend(const Chart& chart, double y) {
  if (chart.series.size() < 2) return "";
  std::string svg;
  double x = 60;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const std::string name = shortened(chart.series[s].name, kLongestLabel);
    if (x + 16 + kCharWidth * static_cast<double>(name.size()) > kWidth && x > 60) {
      x = 60;
      y += 14;
    }
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"10\" height=\"10\" fill=\"{}\"/>\n", x, y - 9,
                       kColours[s % std::size(kColours)]);
    svg += words(x + 14, y, "start", name);
    x += 30 + kCharWidth * static_cast<double>(name.size());
  }
  return svg;
}

// A line with ends, along x or along y.
std::string whisker(double at, double low, double high, bool lying) {
  if (std::abs(high - low) < 1) return "";
  const auto part = [&](double a1, double v1, double a2, double v2) {
    return lying ? line(v1, a1, v2, a2, kInk) : line(a1, v1, a2, v2, kInk);
  };
  return part(at, low, at, high) + part(at - 3, low, at + 3, low) + part(at - 3, high, at + 3, high);
}

std::string lying_bars(const Chart& chart) {
  std::vector<std::string> labels;
  Span values;
  values.add(0);
  for (const Series& series : chart.series)
    for (const Point& point : series.points) {
      if (std::ranges::find(labels, point.label) == labels.end()) labels.push_back(point.label);
      values.add(point.y.spread().low);
      values.add(point.y.spread().high);
    }
  std::size_t longest = 4;
  for (const std::string& label : labels) longest = std::max(longest, std::min(label.size(), kLongestLabel));
  const double left = 16 + kCharWidth * static_cast<double>(longest);
  const double row = kRowHeight * static_cast<double>(std::max<std::size_t>(chart.series.size(), 1)) + 6;
  const double bottom = kTop + row * static_cast<double>(labels.size());
  const Axis axis(values.low, values.high, left, kWidth - kRight);
  std::string svg;
  for (const double tick : axis.ticks()) {
    svg += line(axis.at(tick), kTop, axis.at(tick), bottom, kGrid);
    svg += words(axis.at(tick), bottom + 16, "middle", fmt::format("{:g}", tick));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double top = kTop + row * static_cast<double>(i) + 3;
    svg += words(left - 6, top + (row - 6) / 2 + 4, "end", shortened(labels[i], kLongestLabel));
    for (std::size_t s = 0; s < chart.series.size(); ++s)
      for (const Point& point : chart.series[s].points) {
        if (point.label != labels[i]) continue;
        const double y = top + kRowHeight * static_cast<double>(s), zero = axis.at(0),
                     end = axis.at(point.y.value());
        svg +=
            fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
                        std::min(zero, end), y + 2, std::abs(end - zero), kRowHeight - 4,
                        kColours[s % std::size(kColours)]);
        svg +=
            whisker(y + kRowHeight / 2, axis.at(point.y.spread().low), axis.at(point.y.spread().high), true);
      }
  }
  svg += words((left + kWidth - kRight) / 2, bottom + 34, "middle", chart.y_title);
  return frame(bottom + 44, chart.title, legend(chart, 34) + svg);
}

// A series of lines or scatter, with its front or joined in order.
std::string marks(const Chart& chart, std::size_t index, const Axis& x, const Axis& y) {
  const Series& series = chart.series[index];
  const char* colour = kColours[index % std::size(kColours)];
  std::string svg, path;
  std::vector<std::size_t> joined;
  if (chart.kind == ChartKind::lines)
    for (std::size_t i = 0; i < series.points.size(); ++i) joined.push_back(i);
  else if (chart.front)
    joined = front_of(series);
  for (const std::size_t i : joined)
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x.at(series.points[i].x),
                        y.at(series.points[i].y.value()));
  if (joined.size() > 1)
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>\n", path,
                       colour, chart.kind == ChartKind::lines ? "" : " stroke-dasharray=\"5 4\"");
  for (const Point& point : series.points) {
    const double px = x.at(point.x), py = y.at(point.y.value());
    svg += whisker(px, y.at(point.y.spread().low), y.at(point.y.spread().high), false);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>\n", px, py,
                       chart.kind == ChartKind::scatter ? 4 : 2.5, colour);
  }
  return svg;
}

// The names of points where they do not run into each other, those of the front first.
class Names {
 public:
  explicit Names(double bottom) : bottom_(bottom) {}

  std::string at(double px, double py, const std::string& label) {
    const std::string text = shortened(label, kLongestLabel);
    const double width = kCharWidth * static_cast<double>(text.size());
    const bool right = px + 7 + width < kWidth - kRight;
    const double left = right ? px + 7 : px - 7 - width;
    for (const double rise : {7.0, -15.0, 21.0, -29.0, 35.0, -43.0}) {
      const double y = py - rise;
      const bool hits = std::ranges::any_of(taken_, [&](const Box& box) {
        return std::abs(box.y - y) < 13 && left < box.x + box.width && box.x < left + width;
      });
      if (hits || y < kTop + 8 || y > bottom_) continue;
      taken_.push_back({left, y, width});
      return words(right ? px + 7 : px - 7, y, right ? "start" : "end", text);
    }
    return "";
  }

 private:
  struct Box {
    double x, y, width;
  };
  double bottom_;
  std::vector<Box> taken_;
};

std::string names_of(const Chart& chart, const Axis& x, const Axis& y, double bottom) {
  Names names(bottom);
  std::string svg;
  for (const bool of_front : {true, false}) {
    for (const Series& series : chart.series) {
      const std::vector<std::size_t> front = front_of(series);
      for (std::size_t i = 0; i < series.points.size(); ++i) {
        const Point& point = series.points[i];
        if ((std::ranges::find(front, i) != front.end()) == of_front)
          svg += names.at(x.at(point.x), y.at(point.y.value()), point.label);
      }
    }
  }
  return svg;
}

std::string plane(const Chart& chart) {
  Span xs, ys;
  for (const Series& series : chart.series)
    for (const Point& point : series.points) {
      xs.add(point.x);
      ys.add(point.y.spread().low);
      ys.add(point.y.spread().high);
    }
  const double left = 64, bottom = kTop + kPlotHeight;
  if (!(xs.high >= xs.low)) return frame(bottom + kBottom, chart.title, "");
  const Axis x(xs.low, xs.high, left, kWidth - kRight), y(ys.low, ys.high, bottom, kTop);
  std::string svg;
  for (const double tick : x.ticks()) {
    svg += line(x.at(tick), kTop, x.at(tick), bottom, kGrid);
    svg += words(x.at(tick), bottom + 16, "middle", fmt::format("{:g}", tick));
  }
  for (const double tick : y.ticks()) {
    svg += line(left, y.at(tick), kWidth - kRight, y.at(tick), kGrid);
    svg += words(left - 6, y.at(tick) + 4, "end", fmt::format("{:g}", tick));
  }
  svg += words((left + kWidth - kRight) / 2, bottom + 36, "middle", chart.x_title);
  svg += words(14, (kTop + bottom) / 2, "middle", chart.y_title,
               fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", (kTop + bottom) / 2));
  for (std::size_t s = 0; s < chart.series.size(); ++s) svg += marks(chart, s, x, y);
  if (chart.kind == ChartKind::scatter) svg += names_of(chart, x, y, bottom);
  return frame(bottom + kBottom, chart.title, legend(chart, 34) + svg);
}

}  // namespace

std::string to_svg(const Chart& chart) {
  check_document({chart.title, {}, {{chart.title, {}, {chart}}}});
  return chart.kind == ChartKind::bars ? lying_bars(chart) : plane(chart);
}

}  // namespace eke::report
