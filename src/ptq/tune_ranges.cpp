#include "ptq/tune_ranges.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "data/metrics.h"
#include "passes/passes.h"
#include "ptq/judge.h"
#include "ptq/outputs.h"
#include "quant/keep.h"

namespace eke {

namespace {

constexpr double kWorthwhileDb = 0.02;  // what gains less is chance
constexpr float kStep = 1.15f;

class Tuner {
 public:
  Tuner(const CalibratedGraph& calibrated, const Quantized& quantized, const QuantizationOptions& options,
        CalibrationImages& images, std::int64_t limit, const Threads& threads)
      : result_{calibrated, quantized, 0},
        rewrite_(rewrite_options(options, calibrated.graph)),
        images_(images),
        limit_(limit),
        threads_(threads) {
    each_output(calibrated.graph, images_, limit_, threads_,
                [&](std::vector<float> output, const auto&) { reference_.push_back(std::move(output)); });
    best_db_ = db_of(quantized.graph);
  }

  TunedRanges run() {
    const std::vector<QuantizedTensor> tensors = result_.quantized.report.tensors;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      images_.tell("tuning ranges", static_cast<std::int64_t>(i), static_cast<std::int64_t>(tensors.size()));
      if (tensors[i].name == tensors[i].scale_of && tensors[i].bits == 8) tune(tensors[i].name);
    }
    return std::move(result_);
  }

 private:
  // Wider, or else narrower, as long as it gains.
  void tune(const std::string& tensor) {
    bool better = false;
    for (const float step : {kStep, 1 / kStep}) {
      if (better) break;
      while (try_range(tensor, step)) better = true;
    }
    result_.changed += better;
  }

  bool try_range(const std::string& tensor, float step) {
    const CalibratedRange before = result_.calibrated.ranges.at(tensor);
    CalibratedRange& range = result_.calibrated.ranges.at(tensor);
    range.range = {std::max(before.range.lo * step, std::min(before.seen.lo, 0.0f)),
                   std::min(before.range.hi * step, std::max(before.seen.hi, 0.0f))};
    range.method = "output";
    if (range.range != before.range) {
      Quantized changed =
          quantize(result_.calibrated.graph, result_.calibrated.ranges, rewrite_, others(tensor));
      const double db = db_of(changed.graph);
      if (db > best_db_ + kWorthwhileDb) {
        best_db_ = db;
        result_.quantized = std::move(changed);
        return true;
      }
    }
    range = before;
    return false;
  }

  // The weights of all layers that do not read it: biases are in units of what is read.
  QuantizedWeightsByNode others(const std::string& tensor) const {
    std::set<std::string> of_scale;
    for (const QuantizedTensor& t : result_.quantized.report.tensors) {
      if (t.scale_of == tensor) of_scale.insert(t.name);
    }
    QuantizedWeightsByNode weights = result_.quantized.weights;
    for (const Node& node : result_.calibrated.graph.nodes) {
      if (!node.in.empty() && node.in[0] != kNoValue &&
          of_scale.contains(result_.calibrated.graph[node.in[0]].name))
        weights.erase(std::string(label(result_.calibrated.graph, node)));
    }
    return weights;
  }

  double db_of(const Graph& graph) {
    double sum = 0;
    std::size_t image = 0;
    each_output(optimize(graph), images_, limit_, threads_,
                [&](const std::vector<float>& output, const auto&) {
                  sum += std::min(sqnr_db(reference_[image++], output), kExactDb);
                });
    return sum / static_cast<double>(std::max<std::size_t>(image, 1));
  }

  TunedRanges result_;
  RewriteOptions rewrite_;
  CalibrationImages& images_;
  std::int64_t limit_;
  const Threads& threads_;
  std::vector<std::vector<float>> reference_;
  double best_db_ = 0;
};

}  // namespace

TunedRanges tune_ranges(const CalibratedGraph& calibrated, const Quantized& quantized,
                        const QuantizationOptions& options, CalibrationImages& images, std::int64_t limit,
                        const Threads& threads) {
  return Tuner(calibrated, quantized, options, images, limit, threads).run();
}

}  // namespace eke
