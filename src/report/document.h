// What a report says, before it becomes text, JSON or a page: plain values. A figure cannot be made without its unit,
// count, spread and origin, and a column or series holds figures of one unit and one origin: what was measured never
// stands beside what was guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
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
  bool front = false;  // of scatter: a line joins the points of front_of
};
// The points that no other one of the series beats, from left to right: none has as much y for less x.
std::vector<std::size_t> front_of(const Series& series);
// The numbers of a chart, which stand below it.
Table table_of(const Chart& chart);

// How often class `row` was taken for class `column`.
struct Matrix {
  std::string title;
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> counts;
};

// Small pictures, each with a line below it.
struct Picture {
  std::string data_uri;  // of a PNG
  std::string caption;
};
struct Gallery {
  std::string title;
  std::vector<Picture> pictures;
};

struct Section {
  std::string title;
  std::vector<std::string> paragraphs = {};
  std::vector<Chart> charts = {};
  std::vector<Table> tables = {};
  std::vector<Matrix> matrices = {};
  std::vector<Gallery> galleries = {};
};

enum class Tone : std::uint8_t { neutral, good, bad };
struct Verdict {
  Tone tone;
  std::string text;
  std::string subject = {};  // what it is about, as a network: verdicts of one subject stand together
  bool in_table = false;     // the table of all models says it, too
};

struct Document {
  std::string title;
  std::vector<Verdict> verdicts;  // the summary
  std::vector<Section> sections;
};

// The verdicts by subject, in the order in which subjects first appear.
std::vector<std::pair<std::string, std::vector<Verdict>>> by_subject(const std::vector<Verdict>& verdicts);

// Throws where a column or a series mixes units or origins, a row has another number of cells than there are columns,
// or a picture is something else. Every writer calls it.
void check_document(const Document& document);

// "8.97 ms (8.90 to 9.12, p10 to p90 of 100)", with "estimated" or "simulated" where it was not measured.
std::string text_of(const Figure& figure);
std::string text_of(const Cell& cell);
std::string number_text(double value);  // four significant digits

}  // namespace eke::report
