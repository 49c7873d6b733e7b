// Text for people: aligned tables, numbers with units, colours on a terminal only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace eke::cli {

using Json = nlohmann::ordered_json;

enum class Align { left, right };
struct Column {
  std::string title;
  Align align = Align::right;
  std::size_t max_width = 0;  // 0: as wide as its cells; else longer cells lose their middle
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // one a column
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

enum class Colour { good, bad, dim, bold };
std::string paint(Colour colour, std::string_view text);  // unchanged when standard output is no terminal

std::string count_text(double count);   // "41.0 M"
std::string bytes_text(double bytes);   // "1.9 MB", decimal
std::string percent_text(double part);  // "64.15 %"
std::string ms_text(double ms);         // three significant digits, "8.97 ms"

// Names come from files that others made: control characters, which could drive a terminal or break a line, are
// written out as "\x1b".
std::string printable(std::string_view text);

void print(std::string_view text);  // to standard output
void print_json(const Json& json);  // indented, with a final newline

}  // namespace eke::cli
