#include "report/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace eke::report {

namespace {

// The first figure of a column or series decides what the others are.
class OneKind {
 public:
  void add(const Figure& figure, const std::string& place) {
    if (!first_) {
      first_ = &figure;
      return;
    }
    check(figure.unit() == first_->unit(), "{} mixes {} and {}: give each unit a column of its own", place,
          first_->unit(), figure.unit());
    check(figure.origin() == first_->origin(), "{} mixes {} and {} figures: give each a column of its own",
          place, to_string(first_->origin()), to_string(figure.origin()));
  }

 private:
  const Figure* first_ = nullptr;
};

void check_table(const Table& table) {
  for (const auto& row : table.rows) {
    check(row.size() == table.columns.size(), "table '{}': a row of {} cells under {} columns", table.title,
          row.size(), table.columns.size());
  }
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    OneKind kind;
    for (const auto& row : table.rows) {
      if (const auto* figure = std::get_if<Figure>(&row[c]))
        kind.add(*figure, fmt::format("column '{}' of table '{}'", table.columns[c], table.title));
    }
  }
}

void check_chart(const Chart& chart) {
  for (const Series& series : chart.series) {
    OneKind kind, place;
    for (const Point& point : series.points) {
      if (point.x_figure) place.add(*point.x_figure, fmt::format("the x axis of chart '{}'", chart.title));
      check(std::isfinite(point.x), "chart '{}': a point of '{}' has no place", chart.title, series.name);
      kind.add(point.y, fmt::format("series '{}' of chart '{}'", series.name, chart.title));
    }
  }
}

void check_matrix(const Matrix& matrix) {
  check(matrix.counts.size() == matrix.names.size(), "matrix '{}': {} rows for {} names", matrix.title,
        matrix.counts.size(), matrix.names.size());
  for (const auto& row : matrix.counts) {
    check(row.size() == matrix.names.size(), "matrix '{}': a row of {} for {} names", matrix.title,
          row.size(), matrix.names.size());
  }
}

// What a page may show without asking anybody: nothing but the PNG itself.
void check_gallery(const Gallery& gallery) {
  constexpr std::string_view kPrefix = "data:image/png;base64,";
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  for (const Picture& picture : gallery.pictures)
    check(picture.data_uri.starts_with(kPrefix) &&
              picture.data_uri.find_first_not_of(kDigits, kPrefix.size()) == std::string::npos,
          "a picture of '{}' is no PNG in base64", gallery.title);
}

}  // namespace

std::string to_string(Origin origin) {
  switch (origin) {
    case Origin::measured:
      return "measured";
    case Origin::recorded:
      return "recorded";
    case Origin::estimated:
      return "estimated";
    case Origin::simulated:
      return "simulated";
  }
  return "";
}

Figure::Figure(double value, std::string unit, std::int64_t count, Spread spread, Origin origin)
    : value_(value), unit_(std::move(unit)), count_(count), spread_(std::move(spread)), origin_(origin) {
  check(std::isfinite(value_) && std::isfinite(spread_.low) && std::isfinite(spread_.high),
        "a figure of {} is not a number", unit_);
  check(!unit_.empty(), "the figure {} has no unit", value_);
  check(count_ >= 1, "a figure of {} comes from {} observations", unit_, count_);
  check(!spread_.kind.empty(), "the spread of a figure of {} does not say what it is", unit_);
  // The last digits of a recorded value and of its bounds may differ.
  const double slack = 1e-9 * std::max({1.0, std::abs(spread_.low), std::abs(spread_.high)});
  check(spread_.low <= value_ + slack && value_ <= spread_.high + slack,
        "the spread {} to {} of a figure does not hold its value {}", spread_.low, spread_.high, value_);
}

std::string number_text(double value) {
  const double magnitude = std::abs(value);
  if (magnitude < 1) return fmt::format("{:.4g}", value);
  const int digits = magnitude >= 1000 ? 0 : magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : 3;
  return fmt::format("{:.{}f}", value, digits);
}

std::string text_of(const Figure& figure) {
  const Spread& spread = figure.spread();
  const std::string origin = figure.origin() == Origin::measured ? "" : ", " + to_string(figure.origin());
  const std::string range =
      spread.low == spread.high ? "" : number_text(spread.low) + " to " + number_text(spread.high) + ", ";
  return fmt::format("{} {} ({}{} of {}{})", number_text(figure.value()), figure.unit(), range, spread.kind,
                     figure.count(), origin);
}

std::string text_of(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return text_of(std::get<Figure>(cell));
}

Table table_of(const Chart& chart) {
  const bool places = chart.kind != ChartKind::bars;
  const bool labels = std::any_of(chart.series.begin(), chart.series.end(), [](const Series& series) {
    return std::any_of(series.points.begin(), series.points.end(),
                       [](const Point& point) { return !point.label.empty(); });
  });
  const std::size_t first = (labels ? 1u : 0u) + (places ? 1u : 0u);
  Table table{chart.title, {}, {}};
  if (labels) table.columns.push_back("name");
  if (places) table.columns.push_back(chart.x_title);
  for (const Series& series : chart.series)
    table.columns.push_back(chart.series.size() == 1 ? chart.y_title : series.name);
  // Points of several series at one place share a row.
  std::map<std::pair<std::string, double>, std::size_t> rows;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    for (const Point& point : chart.series[s].points) {
      const auto [row, is_new] = rows.try_emplace({point.label, places ? point.x : 0}, table.rows.size());
      if (is_new) {
        std::vector<Cell>& cells = table.rows.emplace_back(table.columns.size(), Cell(std::string()));
        if (labels) cells[0] = point.label;
        if (places)
          cells[first - 1] = point.x_figure ? Cell(*point.x_figure) : Cell(fmt::format("{:g}", point.x));
      }
      table.rows[row->second][first + s] = point.y;
    }
  }
  return table;
}

std::vector<std::size_t> front_of(const Series& series) {
  std::vector<std::size_t> order(series.points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    const Point &p = series.points[a], &q = series.points[b];
    return p.x != q.x ? p.x < q.x : p.y.value() > q.y.value();
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order)
    if (front.empty() || series.points[i].y.value() > series.points[front.back()].y.value())
      front.push_back(i);
  return front;
}

std::vector<std::pair<std::string, std::vector<Verdict>>> by_subject(const std::vector<Verdict>& verdicts) {
  std::vector<std::pair<std::string, std::vector<Verdict>>> groups;
  for (const Verdict& verdict : verdicts) {
    auto group = std::ranges::find_if(groups, [&](const auto& g) { return g.first == verdict.subject; });
    if (group == groups.end()) group = groups.insert(groups.end(), {verdict.subject, {}});
    group->second.push_back(verdict);
  }
  return groups;
}

void check_document(const Document& document) {
  for (const Section& section : document.sections) {
    with_context([&] { return "section '" + section.title + "'"; },
                 [&] {
                   for (const Chart& chart : section.charts) check_chart(chart);
                   for (const Table& table : section.tables) check_table(table);
                   for (const Matrix& matrix : section.matrices) check_matrix(matrix);
                   for (const Gallery& gallery : section.galleries) check_gallery(gallery);
                 });
  }
}

}  // namespace eke::report
