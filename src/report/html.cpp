#include <fmt/format.h>

#include <algorithm>

#include "base/markup.h"
#include "report/document_json.h"
#include "report/embedded.h"
#include "report/writers.h"

namespace eke::report {

namespace {

constexpr std::size_t kOpenRows = 12, kOpenClasses = 20;  // longer tables and larger matrices are folded up

// JSON within a script element: no text of it may end the element or begin a comment.
std::string json_in_script(const Json& json) {
  const std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string cell_html(const Cell& cell) {
  constexpr std::size_t kShort = 14;  // such texts are not broken into lines
  if (const auto* text = std::get_if<std::string>(&cell))
    return fmt::format("<td{}>{}</td>", text->size() <= kShort ? " class=\"short\"" : "", escaped(*text));
  const Figure& f = std::get<Figure>(cell);
  const std::string origin =
      f.origin() == Origin::measured ? "" : fmt::format(" <em>{}</em>", to_string(f.origin()));
  const std::string range = f.spread().low == f.spread().high
                                ? ""
                                : number_text(f.spread().low) + " to " + number_text(f.spread().high) + ", ";
  return fmt::format("<td class=\"figure\">{} {}{} <small>{}{} of {}</small></td>", number_text(f.value()),
                     escaped(f.unit()), origin, range, escaped(f.spread().kind), f.count());
}

std::string table_html(const Table& table, const std::string& caption) {
  std::string html = "<div class=\"scroll\"><table>";
  if (!caption.empty()) html += "<caption>" + escaped(caption) + "</caption>";
  html += "<thead><tr>";
  for (const std::string& column : table.columns) html += "<th scope=\"col\">" + escaped(column) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (const Cell& cell : row) html += cell_html(cell);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string foldable(const Table& table, const std::string& caption) {
  if (table.rows.size() <= kOpenRows) return table_html(table, caption);
  const std::string title = caption.empty() ? "table" : caption;
  return fmt::format("<details><summary>{} ({} rows)</summary>\n{}</details>\n", escaped(title),
                     table.rows.size(), table_html(table, ""));
}

std::string matrix_html(const Matrix& matrix) {
  std::int64_t most = 1;
  for (const auto& row : matrix.counts) most = std::max(most, *std::max_element(row.begin(), row.end()));
  const bool large = matrix.names.size() > kOpenClasses;
  const std::string caption = matrix.title + "; a row is a true class, a column what it was taken for";
  std::string html = "<div class=\"scroll\"><table class=\"matrix\">";
  if (!large) html += "<caption>" + escaped(caption) + "</caption>";
  html += "<thead><tr><th scope=\"col\">class</th>";
  for (const std::string& name : matrix.names) html += "<th scope=\"col\">" + escaped(name) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (std::size_t i = 0; i < matrix.counts.size(); ++i) {
    html += "<tr><th scope=\"row\">" + escaped(matrix.names[i]) + "</th>";
    for (std::size_t j = 0; j < matrix.counts[i].size(); ++j) {
      const std::int64_t count = matrix.counts[i][j];
      if (large && count == 0) {
        std::size_t end = j + 1;
        while (end < matrix.counts[i].size() && matrix.counts[i][end] == 0) ++end;
        html += fmt::format("<td colspan=\"{}\"></td>", end - j);
        j = end - 1;
        continue;
      }
      const int heat =
          count == 0 ? 0 : 1 + static_cast<int>(8 * static_cast<double>(count) / static_cast<double>(most));
      html += fmt::format("<td class=\"{}{}\">{}</td>", i == j ? "hit" : "miss", heat, count);
    }
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  return large ? fmt::format("<details><summary>{} ({} classes)</summary>\n{}</details>\n", escaped(caption),
                             matrix.names.size(), html)
               : html;
}

std::string gallery_html(const Gallery& gallery) {
  std::string html = "<h3>" + escaped(gallery.title) + "</h3>\n<ul class=\"gallery\">\n";
  for (const Picture& picture : gallery.pictures)
    html += fmt::format("<li><img src=\"{}\" alt=\"\"><span>{}</span></li>\n", escaped(picture.data_uri),
                        escaped(picture.caption));
  return html + "</ul>\n";
}

std::string section_html(const Section& section, std::size_t index, Json& charts) {
  std::string html = fmt::format("<section id=\"s{}\">\n<h2>{}</h2>\n", index, escaped(section.title));
  for (const std::string& paragraph : section.paragraphs) html += "<p>" + escaped(paragraph) + "</p>\n";
  for (const Chart& chart : section.charts) {
    html += fmt::format(
        "<figure>\n<figcaption>{}</figcaption>\n<div class=\"chart\"><canvas id=\"c{}\" role=\"img\" "
        "aria-label=\"{}\"></canvas></div>\n</figure>\n",
        escaped(chart.title), charts.size(), escaped(chart.title + ": the table below has the numbers"));
    charts.push_back(chart_json(chart));
    html += foldable(table_of(chart), chart.title + ", as numbers");
  }
  for (const Table& table : section.tables) html += foldable(table, table.title);
  for (const Matrix& matrix : section.matrices) html += matrix_html(matrix);
  for (const Gallery& gallery : section.galleries) html += gallery_html(gallery);
  return html + "</section>\n";
}

std::string summary_html(const Document& document) {
  static constexpr const char* kTones[] = {"neutral", "good", "bad"};
  if (document.verdicts.empty()) return "";
  std::string html = "<section class=\"summary\">\n<h2>Summary</h2>\n";
  for (const auto& [subject, verdicts] : by_subject(document.verdicts)) {
    if (!subject.empty()) html += "<h3>" + escaped(subject) + "</h3>\n";
    html += "<ul>\n";
    for (const Verdict& verdict : verdicts)
      html += fmt::format("<li class=\"{}\">{}</li>\n", kTones[static_cast<int>(verdict.tone)],
                          escaped(verdict.text));
    html += "</ul>\n";
  }
  return html + "</section>\n";
}

std::string contents_html(const Document& document) {
  std::string html = "<nav aria-label=\"contents\">\n<ul>\n";
  for (std::size_t i = 0; i < document.sections.size(); ++i)
    html += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", i, escaped(document.sections[i].title));
  return html + "</ul>\n</nav>\n";
}

}  // namespace

std::string to_html(const Document& document) {
  check_document(document);
  Json charts = Json::array();
  std::string sections;
  for (std::size_t i = 0; i < document.sections.size(); ++i)
    sections += section_html(document.sections[i], i, charts);
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">\n";
  html += "<title>" + escaped(document.title) + "</title>\n<style>\n";
  html += kPageCss;
  html += "</style>\n</head>\n<body>\n<header>\n<h1>" + escaped(document.title) + "</h1>\n";
  html += contents_html(document) + "</header>\n<main>\n" + summary_html(document) + sections + "</main>\n";
  html +=
      "<script id=\"charts\" type=\"application/json\">" + json_in_script(charts) + "</script>\n<script>\n";
  html += kChartJs;
  html += "\n</script>\n<script>\n";
  html += kPageJs;
  return html + "</script>\n</body>\n</html>\n";
}

}  // namespace eke::report
