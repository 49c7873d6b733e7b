#include "cli/search_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace eke::cli {

namespace {

std::string counts_text(const Assignment& assigned) {
  std::string text;
  for (const Precision precision : {Precision::f32, Precision::int8, Precision::int4}) {
    const auto count = std::ranges::count(assigned, static_cast<std::size_t>(precision));
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, to_string(precision));
  }
  return text;
}

std::string cost_text(double cost, SearchObjective objective) {
  switch (objective) {
    case SearchObjective::latency:
      return ms_text(cost);
    case SearchObjective::energy:
      return fmt::format("{:.3g} mJ", cost);
    case SearchObjective::size:
      return bytes_text(cost);
  }
  return "";
}

}  // namespace

Json to_json(const SearchResult& r, SearchObjective objective) {
  Json json{{"objective", to_string(objective)},
            {"unit", unit_of(objective)},
            {"right_means", r.by_labels ? "as the label" : "as the float model"},
            {"float_right", r.float_right},
            {"within_max_drop", r.within},
            {"layers", Json::array()},
            {"tried", Json::array()}};
  for (std::size_t l = 0; l < r.layers.size(); ++l) {
    Json entry{{"node", r.layers[l].node},
               {"operator", r.layers[l].op},
               {"chosen", to_string(static_cast<Precision>(r.tried[r.chosen].assigned[l]))},
               {"choices", Json::array()}};
    for (std::size_t p = 0; p < r.layers[l].choices.size(); ++p)
      entry["choices"].push_back({{"precision", to_string(static_cast<Precision>(p))},
                                  {"cost", r.layers[l].choices[p].cost},
                                  {"noise", r.layers[l].choices[p].noise}});
    json["layers"].push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < r.tried.size(); ++i) {
    const TriedMixture& t = r.tried[i];
    json["tried"].push_back(
        {{"what", t.what},
         {"layers", code_of(t.assigned)},
         {"cost", t.cost},
         {"sqnr_db", t.sqnr_db},
         {"right", std::ranges::count(t.right, true)},
         {"images", t.right.size()},
         {"difference",
          {{"accuracy", t.drop.difference}, {"low", t.drop.interval.low}, {"high", t.drop.interval.high}}},
         {"on_front", t.on_front},
         {"chosen", i == r.chosen}});
  }
  return json;
}

std::string search_text(const SearchResult& r, SearchObjective objective) {
  Table table({{"mixture", Align::left},
               {"layers", Align::left},
               {std::string(to_string(objective))},
               {"SQNR"},
               {r.by_labels ? "right" : "same top-1"},
               {"against float, points"},
               {"", Align::left}});
  std::vector<std::size_t> order(r.tried.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return r.tried[i].cost; });
  for (const std::size_t i : order) {
    const TriedMixture& t = r.tried[i];
    table.add({t.what, counts_text(t.assigned), cost_text(t.cost, objective),
               t.sqnr_db >= kExactDb ? "exact" : fmt::format("{:.1f} dB", t.sqnr_db),
               fmt::format("{} of {}", std::ranges::count(t.right, true), t.right.size()),
               fmt::format("{:+.2f} ({:+.2f} to {:+.2f})", 100 * t.drop.difference, 100 * t.drop.interval.low,
                           100 * t.drop.interval.high),
               fmt::format("{}{}", t.on_front ? "front" : "", i == r.chosen ? "  chosen" : "")});
  }
  return table.text();
}

}  // namespace eke::cli
