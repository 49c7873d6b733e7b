#include "cli/walk_report.h"

#include <fmt/format.h>

#include <cmath>

namespace eke::cli {

namespace {

std::string drop_text(const PairedComparison& drop) {
  return fmt::format("{:+.2f} ({:+.2f} to {:+.2f})", 100 * drop.difference, 100 * drop.interval.low,
                     100 * drop.interval.high);
}

}  // namespace

Json to_json(const Walk& walk) {
  Json json{{"images", walk.steps.empty() ? 0 : walk.steps[0].images},
            {"right_means", walk.by_labels ? "as the label" : "as the float model"},
            {"float_right", walk.float_right},
            {"ended", walk.ended},
            {"steps", Json::array()}};
  for (const WalkStep& step : walk.steps) {
    Json entry{{"step", step.name},   {"kept", step.kept},     {"sqnr_db", step.sqnr_db},
               {"right", step.right}, {"images", step.images}, {"seconds", step.seconds}};
    entry["difference"] = {{"accuracy", step.drop.difference},
                           {"low", step.drop.interval.low},
                           {"high", step.drop.interval.high}};
    if (step.error_left) entry["block_error_left"] = *step.error_left;
    if (step.gain)
      entry["gain_db"] = {{"mean", step.gain_db},
                          {"low", std::isfinite(step.gain->low) ? Json(step.gain->low) : Json(nullptr)},
                          {"high", std::isfinite(step.gain->high) ? Json(step.gain->high) : Json(nullptr)}};
    json["steps"].push_back(std::move(entry));
  }
  return json;
}

std::string walk_text(const Walk& walk) {
  if (walk.steps.empty()) return "";
  Table table({{"step", Align::left},
               {"kept", Align::left},
               {"SQNR"},
               {"gain"},
               {walk.by_labels ? "right" : "same top-1"},
               {"against float, points"},
               {"took"}});
  for (const WalkStep& step : walk.steps) {
    table.add({step.name, step.kept ? "yes" : "no", fmt::format("{:.1f} dB", step.sqnr_db),
               step.gain ? fmt::format("{:+.1f} dB ({:+.1f} to {:+.1f})", step.gain_db, step.gain->low,
                                       step.gain->high)
                         : "",
               fmt::format("{} of {}", step.right, step.images), drop_text(step.drop),
               fmt::format("{:.1f} s", step.seconds)});
  }
  return table.text() +
         fmt::format(
             "judged on {} images held back from calibration{}; a step stays where their outputs come closer "
             "to float\n{}\n",
             walk.steps[0].images, walk.by_labels ? "" : ", without labels", walk.ended);
}

}  // namespace eke::cli
