// eke bench --engine trtexec: networks on a Jetson's DLA or an NVIDIA GPU. Each window is a run of trtexec of its own, with
// a meter around the time in which it infers; the result has the shape of eke bench.
#pragma once

#include <vector>

#include "cli/bench_run.h"
#include "cli/energy_report.h"
#include "cli/options.h"
#include "cli/trtexec_engine.h"

namespace eke::cli {

struct TrtexecBench {
  std::vector<std::string> models;
  std::vector<std::int64_t> batches;
  std::vector<int> power_modes;
  ShapeOptions shapes;
  MeterOptions meters;
  BenchPlan plan;
  TrtexecOptions trtexec;
  std::string data;  // to score on; "" for none
  std::int64_t limit = 0;
  int class_offset = 0;
  PreprocessOptions preprocess;
  bool layers = false, json = false, csv = false;
};
int bench_trtexec(const TrtexecBench& options);

}  // namespace eke::cli
