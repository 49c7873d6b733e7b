// Text, Markdown and CSV.
#include <fmt/format.h>

#include <algorithm>

#include "report/writers.h"

namespace eke::report {

namespace {

// Characters, not bytes: UTF-8 continuation bytes take no room.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

std::vector<std::vector<std::string>> cells_of(const Table& table) {
  std::vector<std::vector<std::string>> lines{table.columns};
  for (const auto& row : table.rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const Cell& cell : row) line.push_back(one_line(text_of(cell)));
  }
  return lines;
}

std::string aligned(const Table& table) {
  const auto lines = cells_of(table);
  std::vector<std::size_t> widths(table.columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i)
      row += line[i] + std::string(widths[i] - width_of(line[i]) + 2, ' ');
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '_' || c == '<' || c == '[') out += '\\';
    out += c;
  }
  return out;
}

std::string markdown(const Table& table) {
  std::string text;
  bool head = true;
  for (const auto& line : cells_of(table)) {
    text += "|";
    for (const std::string& cell : line) text += fmt::format(" {} |", markdown_cell(cell));
    text += "\n";
    if (head) {
      text += "|";
      for (std::size_t i = 0; i < line.size(); ++i) text += " --- |";
      text += "\n";
    }
    head = false;
  }
  return text;
}

// A field that a spreadsheet would take for a formula gets a quote in front.
std::string csv_field(std::string text) {
  if (!text.empty() && std::string_view("=+@\t\r").find(text[0]) != std::string_view::npos) text = "'" + text;
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// A figure takes several columns, so that the numbers can be worked with.
std::string csv(const Table& table) {
  std::vector<bool> figures(table.columns.size(), false);
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      figures[i] = figures[i] || std::holds_alternative<Figure>(row[i]);
  }
  std::vector<std::string> head;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    head.push_back(csv_field(table.columns[i]));
    if (!figures[i]) continue;
    for (const char* part : {"unit", "low", "high", "spread", "count", "origin"})
      head.push_back(csv_field(table.columns[i] + " " + part));
  }
  std::string text = fmt::format("{}\n", fmt::join(head, ","));
  for (const auto& row : table.rows) {
    std::vector<std::string> line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (const auto* f = std::get_if<Figure>(&row[i])) {
        line.push_back(fmt::format("{}", f->value()));
        line.push_back(csv_field(f->unit()));
        line.push_back(fmt::format("{}", f->spread().low));
        line.push_back(fmt::format("{}", f->spread().high));
        line.push_back(csv_field(f->spread().kind));
        line.push_back(std::to_string(f->count()));
        line.push_back(to_string(f->origin()));
      } else {
        line.push_back(csv_field(std::get<std::string>(row[i])));
        if (figures[i]) line.insert(line.end(), 6, "");
      }
    }
    text += fmt::format("{}\n", fmt::join(line, ","));
  }
  return text;
}

Table table_of(const Matrix& matrix) {
  Table table{matrix.title, {"true \\ predicted"}, {}};
  table.columns.insert(table.columns.end(), matrix.names.begin(), matrix.names.end());
  for (std::size_t i = 0; i < matrix.counts.size(); ++i) {
    std::vector<Cell>& row = table.rows.emplace_back();
    row.emplace_back(matrix.names[i]);
    for (const std::int64_t count : matrix.counts[i]) row.emplace_back(std::to_string(count));
  }
  return table;
}

std::vector<Table> tables_of(const Section& section) {
  std::vector<Table> tables;
  for (const Chart& chart : section.charts) tables.push_back(report::table_of(chart));
  tables.insert(tables.end(), section.tables.begin(), section.tables.end());
  for (const Matrix& matrix : section.matrices) tables.push_back(table_of(matrix));
  for (const Gallery& gallery : section.galleries) {
    Table& table = tables.emplace_back(Table{gallery.title, {"image"}, {}});
    for (const Picture& picture : gallery.pictures) table.rows.push_back({picture.caption});
  }
  return tables;
}

const char* word_of(Tone tone) { return tone == Tone::good ? "+ " : tone == Tone::bad ? "! " : "- "; }

std::string verdicts_text(const Document& document) {
  std::string text;
  for (const auto& [subject, verdicts] : by_subject(document.verdicts)) {
    if (!subject.empty()) text += (text.empty() ? "" : "\n") + one_line(subject) + "\n";
    for (const Verdict& verdict : verdicts) text += word_of(verdict.tone) + one_line(verdict.text) + "\n";
  }
  return text;
}

// "90.64 (90.05 to 91.20)": unit, kind of spread and count are said once for a column.
std::string short_text(const Figure& figure) {
  const Spread& spread = figure.spread();
  return spread.low == spread.high ? number_text(figure.value())
                                   : fmt::format("{} ({} to {})", number_text(figure.value()),
                                                 number_text(spread.low), number_text(spread.high));
}

// The figures of a column share a unit and an origin; counts may differ.
std::string legend_of(const Table& table, std::size_t column) {
  const Figure* any = nullptr;
  std::int64_t least = 0, most = 0;
  for (const auto& row : table.rows) {
    const auto* figure = std::get_if<Figure>(&row[column]);
    if (!figure) continue;
    least = any ? std::min(least, figure->count()) : figure->count();
    most = std::max(most, figure->count());
    any = figure;
  }
  if (!any) return "";
  return fmt::format("{}: {}, {} of {}\n", table.columns[column], any->unit(), any->spread().kind,
                     least == most ? std::to_string(least) : fmt::format("{} to {}", least, most));
}

std::string short_table(const Table& table) {
  Table brief{"", table.columns, {}};
  std::string legends;
  for (std::size_t c = 0; c < table.columns.size(); ++c) legends += legend_of(table, c);
  for (const auto& row : table.rows) {
    std::vector<Cell>& cells = brief.rows.emplace_back();
    for (const Cell& cell : row) {
      const auto* figure = std::get_if<Figure>(&cell);
      cells.push_back(figure ? Cell(short_text(*figure)) : cell);
    }
  }
  return aligned(brief) + "\n" + legends;
}

}  // namespace

std::string to_text(const Document& document) {
  check_document(document);
  std::string text = one_line(document.title) + "\n\n" + verdicts_text(document);
  for (const Section& section : document.sections) {
    text += fmt::format("\n{}\n{}\n", one_line(section.title), std::string(width_of(section.title), '='));
    for (const std::string& paragraph : section.paragraphs) text += one_line(paragraph) + "\n";
    for (const Table& table : tables_of(section)) {
      text += "\n";
      if (!table.title.empty()) text += one_line(table.title) + "\n";
      text += aligned(table);
    }
  }
  return text;
}

std::string to_summary(const Document& document) {
  check_document(document);
  std::string text = one_line(document.title) + "\n\n" + verdicts_text(document);
  if (document.sections.empty()) return text;
  const Section& first = document.sections.front();
  text += "\n";
  for (const std::string& paragraph : first.paragraphs) text += one_line(paragraph) + "\n\n";
  for (const Table& table : first.tables) text += short_table(table);
  return text;
}

std::string to_markdown(const Document& document) {
  check_document(document);
  std::string text = "# " + markdown_cell(one_line(document.title)) + "\n\n";
  for (const auto& [subject, verdicts] : by_subject(document.verdicts)) {
    if (!subject.empty()) text += fmt::format("\n**{}**\n\n", markdown_cell(one_line(subject)));
    for (const Verdict& verdict : verdicts) text += "- " + markdown_cell(one_line(verdict.text)) + "\n";
  }
  for (const Section& section : document.sections) {
    text += fmt::format("\n## {}\n", markdown_cell(one_line(section.title)));
    for (const std::string& paragraph : section.paragraphs)
      text += fmt::format("\n{}\n", markdown_cell(one_line(paragraph)));
    for (const Table& table : tables_of(section)) {
      if (!table.title.empty()) text += fmt::format("\n### {}\n", markdown_cell(one_line(table.title)));
      text += fmt::format("\n{}", markdown(table));
    }
  }
  return text;
}

std::string to_csv(const Document& document) {
  check_document(document);
  std::string text;
  for (const Section& section : document.sections) {
    for (const Table& table : tables_of(section)) {
      if (!text.empty()) text += "\n";
      const std::string title = table.title.empty() ? section.title : section.title + ": " + table.title;
      text += csv_field(title) + "\n" + csv(table);
    }
  }
  return text;
}

}  // namespace eke::report
