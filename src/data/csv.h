// Rows of comma-separated values: quoted fields ("a,b", "" for a quote), CRLF, a byte-order mark, blank
// lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace eke {

struct CsvRow {
  std::size_t line = 0;  // from 1
  std::vector<std::string> fields;
};

// Blanks around fields that are not quoted are dropped, blank lines too. Throws on an open quote, naming the
// line.
std::vector<CsvRow> parse_csv(std::string_view text);

}  // namespace eke
