// A section and its verdicts for the result of each command.
#pragma once

#include <string>
#include <vector>

#include "report/document.h"
#include "report/run_json.h"

namespace eke::report {

// What one model reached, at one setting where it was timed: parts that several results tell together.
struct Outcome {
  std::string model;
  std::optional<Figure> accuracy = std::nullopt;
  std::optional<double> bytes = std::nullopt;
  // Of one image: the median, and the interval of the mean where windows were timed.
  std::optional<Figure> latency = std::nullopt, mean_latency = std::nullopt;
  std::vector<Figure> energy = {};  // of an inference: at most one of an origin
  std::int64_t threads = 0;
  std::string device = {};
};

struct RunParts {
  Section section;  // left out where it has no title
  std::vector<Verdict> verdicts = {};
  std::vector<Outcome> outcomes = {};
};

RunParts parts_of_bench(const RunJson& json);     // bench_section.cpp
RunParts parts_of_eval(const RunJson& json);      // accuracy_section.cpp
RunParts parts_of_quantize(const RunJson& json);  // quantization_section.cpp
RunParts parts_of_explain(const RunJson& json);   // quantization_section.cpp
RunParts parts_of_train(const RunJson& json);     // training_section.cpp
RunParts parts_of_new(const RunJson& json);       // training_section.cpp
RunParts parts_of_diff(const RunJson& json);      // other_sections.cpp
RunParts parts_of_info(const RunJson& json);
RunParts parts_of_failed(const RunJson& json);       // a cell of a study whose command failed
RunParts parts_of_conclusions(const RunJson& json);  // of a study: verdicts alone
// Of a command that has no section of its own: its plain values.
RunParts parts_of_other(const RunJson& json);

}  // namespace eke::report
