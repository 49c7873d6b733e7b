#include "learn/calibrated.h"

#include <algorithm>

#include "quant/calibrate.h"
#include "quant/equalize.h"
#include "tensor/values.h"

namespace eke {
namespace {

constexpr std::size_t kImages = 100;

void observe(Calibration& calibration, const FittedImages& images, std::size_t image, Tensor& input) {
  std::vector<float> row(images.preprocess().count());
  normalize(images.load(image), images.preprocess(), row.data());
  assign(input, row);
  const TensorView view = input.view();
  const std::string& name = images.dataset().samples()[image].id;
  calibration.observe({&view, 1}, {&name, 1});
}

Ranges observed(const Graph& bound, const FittedImages& images, const RewriteOptions& options,
                const CalibratorOptions& calibrator, const Threads& threads) {
  Calibration calibration(bound, options, calibrator, threads);
  Tensor input(calibration.input_types().at(0));
  const std::size_t count = std::min(kImages, images.size());
  for (std::size_t k = 0; k < count; ++k) observe(calibration, images, k * images.size() / count, input);
  return calibration.ranges();
}

}  // namespace

Ranges ranges_on(const Graph& bound, const FittedImages& images, const RewriteOptions& options,
                 Calibrator method, const Threads& threads) {
  return observed(bound, images, options, {.method = method, .scheme = options.activations}, threads);
}

Graph equalized_on(const Graph& bound, const FittedImages& images, const RewriteOptions& options,
                   const Threads& threads) {
  const Ranges seen = observed(bound, images, options, kEqualizationStatistics, threads);
  return equalize(bound, seen, options).graph;
}

}  // namespace eke
