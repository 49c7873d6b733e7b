// What a report says, before it becomes text, JSON or a page: plain values. A figure cannot be made without its unit,
// count, spread and origin, and a column or series holds figures of one unit and one origin: what was measured never
// stands beside what was guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace eke::report {

enum class Origin : std::uint8_t { measured, recorded, estimated, simulated };
std::string to_string(Origin origin);

struct Spread {
  double low, high;
  std::string kind;  // "p10 to p90", "95 % interval"
};

class Figure {
 public:
  // `count` is the number of observations. Throws where a number is not finite, the unit or the kind of spread is
  // empty, the count is below 1, or the spread does not hold the value.
  Figure(double value, std::string unit, std::int64_t count, Spread spread, Origin origin);

  double value() const noexcept { return value_; }
  const std::string& unit() const noexcept { return unit_; }
  std::int64_t count() const noexcept { return count_; }
  const Spread& spread() const noexcept { return spread_; }
  Origin origin() const noexcept { return origin_; }

 private:
  double value_;
  std::string unit_;
  std::int64_t count_;
  Spread spread_;
  Origin origin_;
};

// Text stands for names, settings, and numbers that are exact (bytes, MACs, images).
using Cell = std::variant<std::string, Figure>;

struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

enum class ChartKind : std::uint8_t { bars, lines, scatter };

// A point of bars has a label; of lines, an x that is exact (an epoch); of scatter, an x that is a figure too.
struct Point {
  std::string label;
  double x;
  Figure y;
  std::optional<Figure> x_figure = std::nullopt;
};
struct Series {
  std::string name;
  std::vector<Point> points;
};
struct Chart {
  ChartKind kind;
  std::string title, x_title, y_title;
  std::vector<Series> series;
};
// The numbers of a chart, which stand below it.
Table table_of(const Chart& chart);

// How often class `row` was taken for class `column`.
struct Matrix {
  std::string title;
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> counts;
};

struct Section {
  std::string title;
  std::vector<std::string> paragraphs;
  std::vector<Chart> charts;
  std::vector<Table> tables;
  std::vector<Matrix> matrices;
};

enum class Tone : std::uint8_t { neutral, good, bad };
struct Verdict {
  Tone tone;
  std::string text;
};

struct Document {
  std::string title;
  std::vector<Verdict> verdicts;  // the summary
  std::vector<Section> sections;
};

// Throws where a column or a series mixes units or origins, or a row has another number of cells than there are
// columns. Every writer calls it.
void check_document(const Document& document);

// "8.97 ms (8.90 to 9.12, p10 to p90 of 100)", with "estimated" or "simulated" where it was not measured.
std::string text_of(const Figure& figure);
std::string text_of(const Cell& cell);
std::string number_text(double value);  // four significant digits

}  // namespace eke::report
