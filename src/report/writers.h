// A document as text for a terminal, Markdown, CSV, JSON, or one page of HTML. Each throws what check_document
// throws.
#pragma once

#include <string>

#include "report/document.h"

namespace eke::report {

std::string to_text(const Document& document);
// The verdicts and the tables of the first section, short enough for a terminal.
std::string to_summary(const Document& document);
std::string to_markdown(const Document& document);
// All tables, those of the charts too, one after the other: a line with the title, then RFC 4180.
std::string to_csv(const Document& document);
std::string to_json(const Document& document);

// One file that needs nothing else: styles, Chart.js and the numbers are inside, and its policy forbids loading
// anything. Names are escaped, wherever they come from.
std::string to_html(const Document& document);

// A chart as SVG for papers, with its spreads; of scatter and lines with its legend. Names are escaped. Throws as
// to_html does.
std::string to_svg(const Chart& chart);

}  // namespace eke::report
