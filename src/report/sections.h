// A section and its verdicts for the result of each command.
#pragma once

#include <string>
#include <vector>

#include "report/document.h"
#include "report/run_json.h"

namespace eke::report {

// What one model reached: parts that several results tell together.
struct Outcome {
  std::string model;
  std::optional<Figure> accuracy, latency;
  std::int64_t threads = 0;  // of the latency, of one image
  std::string device;
};

struct RunParts {
  Section section;
  std::vector<Verdict> verdicts;
  std::vector<Outcome> outcomes;
};

RunParts parts_of_bench(const RunJson& json);
RunParts parts_of_eval(const RunJson& json);
RunParts parts_of_quantize(const RunJson& json);
RunParts parts_of_diff(const RunJson& json);
RunParts parts_of_failed(const RunJson& json);  // a cell of a study whose command failed
RunParts parts_of_info(const RunJson& json);
RunParts parts_of_new(const RunJson& json);    // training.cpp
RunParts parts_of_train(const RunJson& json);  // training.cpp
// Of a command that has no section of its own: its plain values.
RunParts parts_of_other(const RunJson& json);

}  // namespace eke::report
