#include "data/csv.h"

#include "base/error.h"

namespace eke {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The quoted field that starts at `at`; leaves `at` behind its closing quote.
std::string quoted_field(std::string_view line, std::size_t& at, std::size_t number) {
  std::string field;
  for (++at; at < line.size(); ++at) {
    if (line[at] != '"') {
      field += line[at];
    } else if (at + 1 < line.size() && line[at + 1] == '"') {
      field += line[++at];
    } else {
      ++at;
      return field;
    }
  }
  fail("line {}: a quoted field does not end on its line: close the quote", number);
}

std::vector<std::string> split(std::string_view line, std::size_t number) {
  std::vector<std::string> fields;
  for (std::size_t at = 0; at <= line.size(); ++at) {
    const std::size_t start = line.find_first_not_of(" \t", at);
    if (start != std::string_view::npos && line[start] == '"') {
      at = start;
      fields.push_back(quoted_field(line, at, number));
      at = line.find_first_not_of(" \t", at);
      if (at == std::string_view::npos) break;
      check(line[at] == ',', "line {}: text behind a quoted field: put a comma between", number);
    } else {
      const std::size_t comma = std::min(line.find(',', at), line.size());
      fields.emplace_back(trimmed(line.substr(at, comma - at)));
      at = comma;
    }
  }
  return fields;
}

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<CsvRow> rows;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trimmed(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (!line.empty()) rows.push_back({number, split(line, number)});
  }
  return rows;
}

}  // namespace eke
