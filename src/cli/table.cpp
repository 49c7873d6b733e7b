#include "cli/table.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace eke::cli {

namespace {

// Characters, not bytes: UTF-8 continuation bytes take no room.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string shortened(const std::string& text, std::size_t max_width) {
  if (max_width < 5 || text.size() <= max_width) return text;
  const std::size_t tail = (max_width - 2) / 2, head = max_width - 2 - tail;
  return text.substr(0, head) + ".." + text.substr(text.size() - tail);
}

std::string scaled(double value, std::string_view unit) {
  static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  int prefix = 0;
  while (std::abs(value) >= 999.95 && prefix < 4) {
    value /= 1000;
    ++prefix;
  }
  const int digits = prefix == 0 ? 0 : value < 9.995 ? 2 : 1;
  std::string text = fmt::format("{:.{}f} {}{}", value, digits, kPrefixes[prefix], unit);
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

bool colours() {
  static const bool value = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  return value;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  check(cells.size() == columns_.size(), "a row of {} cells in a table of {} columns", cells.size(),
        columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i)
    cells[i] = shortened(printable(cells[i]), columns_[i].max_width);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string gap(widths[i] - width_of(cells[i]), ' ');
      if (i > 0) text += "  ";
      text += columns_[i].align == Align::left ? cells[i] + gap : gap + cells[i];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  out += paint(Colour::bold, line(titles)) + "\n";
  for (const auto& row : rows_) out += line(row) + "\n";
  return out;
}

std::string paint(Colour colour, std::string_view text) {
  if (!colours()) return std::string(text);
  static constexpr const char* kCodes[] = {"32", "31", "2", "1"};
  return fmt::format("\033[{}m{}\033[0m", kCodes[static_cast<int>(colour)], text);
}

std::string count_text(double count) { return scaled(count, ""); }
std::string bytes_text(double bytes) { return scaled(bytes, "B"); }
std::string percent_text(double part) { return fmt::format("{:.2f} %", 100 * part); }

std::string ms_text(double ms) {
  const int digits = ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3;
  return fmt::format("{:.{}f} ms", ms, digits);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail("standard output: cannot write");
}

void print_json(const Json& json) { print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"); }

}  // namespace eke::cli
