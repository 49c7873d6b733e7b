// What explains the loss of an int8 model, told as text or JSON, and which option helps.
#pragma once

#include <string>
#include <vector>

#include "cli/table.h"
#include "ptq/explain.h"

namespace eke::cli {

struct Culprit {
  std::string node, why, remedy;  // remedy names an option
  double share = 0;
};
// Worst first. `options` are those that the model was made with.
std::vector<Culprit> culprits_of(const Explanation& explanation, const QuantizationOptions& options);

Json to_json(const Explanation& explanation, const std::vector<Culprit>& culprits);
// Each range that calibration chose, and what it was after fewer images.
Json ranges_json(const Ranges& ranges);
std::string culprits_text(const Explanation& explanation, const std::vector<Culprit>& culprits,
                          std::size_t most);
std::string explanation_text(const Explanation& explanation, const std::vector<Culprit>& culprits);

}  // namespace eke::cli
