// The results of commands (what `eke bench --json` and its like print) as one document. Results are untrusted: what is
// missing or of the wrong kind is an Error that names the file and the key.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/document.h"
#include "study/study.h"

namespace eke::report {

struct Run {
  std::string path;
  nlohmann::ordered_json json;
};

// Throws for what is no JSON, and for JSON that names no command.
Run parse_run(const std::string& path, const std::string& text);

// The same; the result of a study holds many, which are called by the names of its cells.
std::vector<Run> runs_of(const std::string& path, const std::string& text);

// The fastest of the variants of one network (the first is the float one) within the limits, in words. Latencies are
// those of the least threads that were measured.
Verdict choice_of(const std::vector<Run>& runs, const std::vector<std::string>& variants,
                  const study::Limits& limits);

// A section for each run in the order given, after what they show together.
Document document_of(const std::string& title, const std::vector<Run>& runs);

}  // namespace eke::report
