#include "quant/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

// Graph inputs come before all other values that need a range.
std::size_t input_of(const Graph& graph, const std::string& name) {
  const auto it = std::ranges::find(graph.inputs, name, [&](ValueId id) { return graph[id].name; });
  return static_cast<std::size_t>(it - graph.inputs.begin());
}

std::vector<std::size_t> watched_inputs(const Graph& graph, const std::vector<std::string>& names) {
  std::vector<std::size_t> inputs;
  for (const std::string& name : names) {
    const std::size_t input = input_of(graph, name);
    if (input < graph.inputs.size()) inputs.push_back(input);
  }
  return inputs;
}

Plan observing_plan(const Graph& graph, std::span<const std::string> names) {
  CompileOptions options;
  options.observe.assign(names.begin(), names.end());
  return compile(graph, options);
}

std::int64_t batch_of(const std::vector<Type>& inputs) {
  return inputs.empty() || inputs[0].shape.rank() == 0 ? 1 : inputs[0].shape[0];
}

}  // namespace

Calibration::Calibration(const Graph& graph, const QuantizeOptions& quantize,
                         const CalibratorOptions& calibrator, const Threads& threads)
    : Calibration(graph, ranges_needed(graph, quantize), calibrator, threads) {}

Calibration::Calibration(const Graph& graph, const std::vector<std::string>& names,
                         const CalibratorOptions& calibrator, const Threads& threads)
    : calibrator_(calibrator),
      threads_(threads),
      from_input_(watched_inputs(graph, names)),
      plan_(observing_plan(graph, std::span(names).subspan(from_input_.size()))),
      scratch_(plan_, threads),
      batch_(batch_of(plan_.input_types())) {
  for (const std::string& name : names)
    watched_.push_back({name, Observer(needs_histogram(calibrator.method))});
  for (const Type& type : plan_.output_types()) outputs_.emplace_back(type);
}

void Calibration::observe(std::span<const TensorView> inputs, std::span<const std::string> images) {
  const auto count = static_cast<std::int64_t>(images.size());
  check(count >= 1 && count <= batch_, "{} image names for a batch of {}", count, batch_);
  std::vector<MutTensorView> outputs;
  for (Tensor& output : outputs_) outputs.push_back(output.mutable_view());
  for (std::size_t i = 0; i < from_input_.size(); ++i) watch(watched_[i], inputs[from_input_[i]], count);
  plan_.run_observed(inputs, outputs, scratch_, [&](const Observed& observed) {
    watch(watched_[from_input_.size() + observed.index], observed.view, count);
  });
  check_finite(images);
  images_ += count;
}

void Calibration::watch(Watched& watched, const TensorView& view, std::int64_t images) {
  const std::int64_t values = view.count();
  check(values % batch_ == 0,
        "tensor '{}' of {} is not a whole number of images in a batch of {}; calibrate with a batch of 1",
        watched.name, to_string(*view.type), batch_);
  const std::int64_t per_image = values / batch_;
  if (per_image == 0) return;
  watched.observer.observe({view.as<float>(), static_cast<std::size_t>(per_image * images)}, per_image,
                           threads_);
}

void Calibration::check_finite(std::span<const std::string> images) const {
  for (const Watched& watched : watched_) {
    const NonFinite* bad = watched.observer.nonfinite();
    if (!bad) continue;
    fail(
        "tensor '{}' is {} in image '{}'; check that image and the preprocessing, then the weights before "
        "that tensor",
        watched.name, std::isnan(bad->value) ? "NaN" : "infinite",
        images[static_cast<std::size_t>(bad->image - images_)]);
  }
}

std::size_t Calibration::memory_bytes() const noexcept {
  std::size_t bytes = plan_.arena_bytes() + plan_.weight_bytes();
  for (const Tensor& output : outputs_) bytes += output.bytes();
  for (const Watched& watched : watched_) bytes += sizeof(watched) + watched.observer.bytes();
  return bytes;
}

Ranges Calibration::ranges() const {
  check(images_ > 0, "no image was observed; calibration needs at least one");
  Ranges ranges;
  for (const Watched& watched : watched_) {
    ranges[watched.name] = {watched.observer.bounds(), choose_range(watched.observer, calibrator_),
                            std::string(to_string(calibrator_.method))};
  }
  return ranges;
}

}  // namespace eke
