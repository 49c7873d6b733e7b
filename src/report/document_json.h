// Parts of a document as JSON, for the writers of JSON and of pages.
#pragma once

#include <nlohmann/json.hpp>

#include "report/document.h"

namespace eke::report {

using Json = nlohmann::ordered_json;

Json figure_json(const Figure& figure);
Json chart_json(const Chart& chart);

}  // namespace eke::report
