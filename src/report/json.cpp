#include <nlohmann/json.hpp>

#include "report/document_json.h"
#include "report/writers.h"

namespace eke::report {

namespace {

Json cell_json(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return figure_json(std::get<Figure>(cell));
}

Json table_json(const Table& table) {
  Json json{{"title", table.title}, {"columns", table.columns}, {"rows", Json::array()}};
  for (const auto& row : table.rows) {
    Json cells = Json::array();
    for (const Cell& cell : row) cells.push_back(cell_json(cell));
    json["rows"].push_back(std::move(cells));
  }
  return json;
}

Json section_json(const Section& section) {
  Json json{{"title", section.title}, {"paragraphs", section.paragraphs}};
  for (const char* list : {"charts", "tables", "matrices"}) json[list] = Json::array();
  for (const Chart& chart : section.charts) json["charts"].push_back(chart_json(chart));
  for (const Table& table : section.tables) json["tables"].push_back(table_json(table));
  for (const Matrix& matrix : section.matrices)
    json["matrices"].push_back({{"title", matrix.title}, {"names", matrix.names}, {"counts", matrix.counts}});
  json["galleries"] = Json::array();
  for (const Gallery& gallery : section.galleries) {
    Json captions = Json::array();
    for (const Picture& picture : gallery.pictures) captions.push_back(picture.caption);
    json["galleries"].push_back({{"title", gallery.title}, {"captions", std::move(captions)}});
  }
  return json;
}

}  // namespace

Json figure_json(const Figure& figure) {
  return {{"value", figure.value()},
          {"unit", figure.unit()},
          {"count", figure.count()},
          {"low", figure.spread().low},
          {"high", figure.spread().high},
          {"spread", figure.spread().kind},
          {"origin", to_string(figure.origin())}};
}

Json chart_json(const Chart& chart) {
  static constexpr const char* kKinds[] = {"bars", "lines", "scatter"};
  Json json{{"kind", kKinds[static_cast<int>(chart.kind)]},
            {"title", chart.title},
            {"x", chart.x_title},
            {"y", chart.y_title},
            {"series", Json::array()}};
  if (chart.front) json["front"] = Json::array();
  for (const Series& series : chart.series) {
    if (chart.front) json["front"].push_back(front_of(series));
    Json points = Json::array();
    for (const Point& point : series.points) {
      points.push_back({{"label", point.label}, {"x", point.x}, {"y", figure_json(point.y)}});
      if (point.x_figure) points.back()["x_figure"] = figure_json(*point.x_figure);
    }
    json["series"].push_back({{"name", series.name}, {"points", std::move(points)}});
  }
  return json;
}

std::string to_json(const Document& document) {
  check_document(document);
  static constexpr const char* kTones[] = {"neutral", "good", "bad"};
  Json json{{"title", document.title}, {"verdicts", Json::array()}, {"sections", Json::array()}};
  for (const Verdict& verdict : document.verdicts)
    json["verdicts"].push_back({{"tone", kTones[static_cast<int>(verdict.tone)]},
                                {"text", verdict.text},
                                {"subject", verdict.subject}});
  for (const Section& section : document.sections) json["sections"].push_back(section_json(section));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eke::report
