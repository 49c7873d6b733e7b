// The section of what eke eval says.
#include <algorithm>

#include "report/figures.h"
#include "report/sections.h"

namespace eke::report {

namespace {

constexpr std::size_t kMostConfusions = 20;

// Classes by number where they have no names.
std::string class_name(const RunJson* names, std::int64_t index) {
  const bool named = names && names->is_array() && index >= 0 &&
                     index < static_cast<std::int64_t>(names->size()) &&
                     (*names)[static_cast<std::size_t>(index)].is_string();
  return named ? (*names)[static_cast<std::size_t>(index)].get<std::string>() : std::to_string(index);
}

Matrix matrix_of(const RunJson& rows, const RunJson* names) {
  Matrix matrix{"confusion", {}, {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    matrix.names.push_back(class_name(names, static_cast<std::int64_t>(i)));
    std::vector<std::int64_t>& counts = matrix.counts.emplace_back();
    check(rows[i].is_array(), "'confusion' is no matrix");
    for (const RunJson& cell : rows[i]) {
      check(cell.is_number_integer() && cell.get<std::int64_t>() >= 0, "'confusion' holds what is no count");
      counts.push_back(cell.get<std::int64_t>());
    }
  }
  return matrix;
}

Table confusions_of(const RunJson& list, const RunJson* names) {
  Table table{"wrong predictions", {"class", "taken for", "images"}, {}};
  for (const RunJson& item : list)
    table.rows.push_back({class_name(names, count(item, "class")),
                          class_name(names, count(item, "predicted")), count_text(item, "images")});
  return table;
}

// Of a matrix that is too large to be read at a glance.
Table most_confused(const Matrix& matrix) {
  struct Confusion {
    std::size_t truth, taken_for;
    std::int64_t images;
  };
  std::vector<Confusion> list;
  for (std::size_t i = 0; i < matrix.counts.size(); ++i)
    for (std::size_t j = 0; j < matrix.counts[i].size(); ++j)
      if (i != j && matrix.counts[i][j] > 0) list.push_back({i, j, matrix.counts[i][j]});
  std::ranges::stable_sort(list, std::ranges::greater(), &Confusion::images);
  if (list.size() > kMostConfusions) list.resize(kMostConfusions);
  Table table{"the most frequent confusions", {"class", "taken for", "images"}, {}};
  for (const Confusion& item : list)
    table.rows.push_back(
        {matrix.names[item.truth], matrix.names.at(item.taken_for), std::to_string(item.images)});
  return table;
}

void add_confusion(Section& section, const RunJson& json) {
  const RunJson *confusion = find(json, "confusion"), *names = find(json, "classes");
  if (!confusion || !confusion->is_array() || confusion->empty()) return;
  if (!confusion->front().is_array()) {
    section.tables.push_back(confusions_of(*confusion, names));
    return;
  }
  constexpr std::size_t kReadable = 20;
  Matrix matrix = matrix_of(*confusion, names);
  if (matrix.names.size() > kReadable) {
    for (const auto& row : matrix.counts)
      check(row.size() == matrix.names.size(), "matrix '{}': a row of {} for {} names", matrix.title,
            row.size(), matrix.names.size());
    section.tables.push_back(most_confused(matrix));
  }
  section.matrices.push_back(std::move(matrix));
}

Gallery worst_of(const RunJson& list, const RunJson* names) {
  Gallery gallery{"the images that it got most wrong", {}};
  for (const RunJson& image : list)
    gallery.pictures.push_back(
        {text(image, "picture"),
         fmt::format("{}: is {}, taken for {}, whose score is {:.3g} higher", text(image, "image"),
                     class_name(names, count(image, "class")), class_name(names, count(image, "predicted")),
                     number(image, "by"))});
  return gallery;
}

Table rates_of(const RunJson& verification) {
  Table table{"true acceptance at a rate of false acceptance", {"FAR", "TAR", "threshold", "resolved"}, {}};
  for (const RunJson& rate : array(verification, "rates")) {
    table.rows.push_back({fmt::format("{:g}", number(rate, "far")),
                          fmt::format("{:.2f} %", 100 * number(rate, "tar")),
                          fmt::format("{:.4f}", number(rate, "threshold")),
                          std::string(flag(rate, "resolved") ? "yes" : "too few different pairs")});
  }
  return table;
}

}  // namespace

RunParts parts_of_eval(const RunJson& json) {
  RunParts parts;
  const RunJson* simulated = find(json, "simulated");
  const std::string model =
      text(json, "model") + (simulated ? " as on " + text(*simulated, "engine") : std::string());
  const Origin origin = find(json, "origin") ? origin_of(text(json, "origin")) : Origin::measured;
  parts.section.title = "Accuracy of " + model;
  const std::optional<Figure> score = headline(json, origin);
  check(score.has_value(), "has neither 'top1' nor 'verification'");
  parts.outcomes.push_back({.model = model, .accuracy = score});
  Table table{"accuracy", {"measure", "value"}, {}};
  if (const RunJson* top1 = find(json, "top1")) {
    const std::int64_t images = count(json, "images");
    parts.verdicts.push_back({Tone::neutral, fmt::format("{}: top-1 {}", model, text_of(*score)), "", true});
    table.rows.push_back({std::string("top-1"), accuracy(*top1, images, origin)});
    if (const RunJson* top5 = find(json, "top5"))
      table.rows.push_back({std::string("top-5"), accuracy(*top5, images, origin)});
  } else {
    const RunJson& verification = member(json, "verification");
    parts.verdicts.push_back(
        {Tone::neutral, fmt::format("{}: verification {}", model, text_of(*score)), "", true});
    table.rows.push_back({std::string("verification"), *score});
    table.rows.push_back(
        {std::string("area under the curve"), fmt::format("{:.5f}", number(verification, "auc"))});
    if (find(verification, "threshold"))
      table.rows.push_back({std::string("best threshold of the score"),
                            fmt::format("{:.4f}", number(verification, "threshold"))});
    parts.section.tables.push_back(rates_of(verification));
  }
  if (const RunJson* energy = find(json, "energy"))
    parts.section.paragraphs.push_back("Energy of the evaluation: " + energy_source(*energy) + ".");
  parts.section.tables.insert(parts.section.tables.begin(), std::move(table));
  add_confusion(parts.section, json);
  const RunJson* worst = find(json, "worst");
  if (worst && worst->is_array() && !worst->empty())
    parts.section.galleries.push_back(worst_of(*worst, find(json, "classes")));
  return parts;
}

}  // namespace eke::report
