#include "quant/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "quant/equalize.h"

namespace eke {
namespace {

constexpr std::size_t kNotAnInput = static_cast<std::size_t>(-1);

std::int64_t batch_of(const std::vector<Type>& inputs) {
  return inputs.empty() || inputs[0].shape.rank() == 0 ? 1 : inputs[0].shape[0];
}

Plan observing_plan(const Graph& graph, std::vector<std::string> names) {
  CompileOptions options;
  options.observe = std::move(names);
  return compile(graph, options);
}

}  // namespace

std::vector<Calibration::Watched> Calibration::watch_list(const Graph& graph, const RewriteOptions& quantize,
                                                          const CalibratorOptions& calibrator) {
  const std::vector<std::string> ranges = ranges_needed(graph, quantize),
                                 means = means_wanted(graph, quantize);
  const std::vector<std::string> clipped =
      calibrator.clip_histograms ? clipped_values(graph) : std::vector<std::string>();
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  std::vector<Watched> list;
  const auto add = [&](ValueId id, std::size_t input) {
    if (id == kNoValue) return;
    const std::string& name = graph[id].name;
    Watched watched{
        .name = name,
        .wants_range = has(ranges, name) || (calibrator.every_value && graph[id].type.dtype == DType::f32),
        .wants_means = has(means, name) && graph[id].type.shape.rank() >= 2,
        .wants_histogram = has(clipped, name),
        .input = input,
        .observer = Observer(needs_histogram(calibrator.method)),
        .means = {},
        .histogram = {},
        .history = {}};
    if (watched.wants_range || watched.wants_means || watched.wants_histogram)
      list.push_back(std::move(watched));
  };
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) add(graph.inputs[i], i);
  for (const Node& node : graph.nodes) {
    for (const ValueId out : node.out) add(out, kNotAnInput);
  }
  return list;
}

std::vector<std::string> Calibration::made_by_nodes(const std::vector<Watched>& watched) {
  std::vector<std::string> names;
  for (const Watched& w : watched) {
    if (w.input == kNotAnInput) names.push_back(w.name);
  }
  return names;
}

Calibration::Calibration(const Graph& graph, const RewriteOptions& quantize,
                         const CalibratorOptions& calibrator, const Threads& threads)
    : calibrator_(calibrator),
      threads_(threads),
      watched_(watch_list(graph, quantize, calibrator)),
      plan_(observing_plan(graph, made_by_nodes(watched_))),
      scratch_(plan_, threads),
      batch_(batch_of(plan_.input_types())) {
  inputs_ = watched_.size() - made_by_nodes(watched_).size();
  for (const Type& type : plan_.output_types()) outputs_.emplace_back(type);
}

void Calibration::observe(std::span<const TensorView> inputs, std::span<const std::string> images) {
  const auto count = static_cast<std::int64_t>(images.size());
  check(count >= 1 && count <= batch_, "{} image names for a batch of {}", count, batch_);
  std::vector<MutTensorView> outputs;
  for (Tensor& output : outputs_) outputs.push_back(output.mutable_view());
  for (std::size_t i = 0; i < inputs_; ++i)
    watch(watched_[i], inputs[watched_[i].input], Layout::plain, count);
  plan_.run_observed(inputs, outputs, scratch_, [&](const Observed& observed) {
    watch(watched_[inputs_ + observed.index], observed.view, observed.layout, count);
  });
  check_finite(images);
  const auto doublings = [](std::int64_t n) { return std::bit_width(static_cast<std::uint64_t>(n)); };
  const bool doubled = doublings(images_ + count) > doublings(images_);
  images_ += count;
  if (doubled) note_ranges();
}

void Calibration::watch(Watched& watched, const TensorView& view, Layout layout, std::int64_t images) {
  const std::int64_t values = view.count();
  check(values % batch_ == 0,
        "tensor '{}' of {} is not a whole number of images in a batch of {}; calibrate with a batch of 1",
        watched.name, to_string(*view.type), batch_);
  const std::int64_t per_image = values / batch_;
  if (per_image == 0) return;
  if (watched.wants_range) {
    watched.observer.observe({view.as<float>(), static_cast<std::size_t>(per_image * images)}, per_image,
                             threads_);
  }
  // A tensor whose first axis is not the batch is left uncorrected.
  if (watched.wants_means && view.shape()[0] == batch_ && !watched.observer.nonfinite()) {
    watched.means.observe(view, layout == Layout::nhwc, images, threads_);
  }
  if (watched.wants_histogram && view.shape()[0] == batch_)
    watched.histogram.observe(view, layout == Layout::nhwc, images, threads_);
}

void Calibration::note_ranges() {
  for (Watched& watched : watched_) {
    if (watched.wants_range && watched.observer.values() > 0)
      watched.history.push_back({images_, choose_range(watched.observer, calibrator_)});
  }
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
  for (const Watched& watched : watched_)
    bytes += sizeof(watched) + watched.observer.bytes() + watched.means.bytes() + watched.histogram.bytes();
  return bytes;
}

Ranges Calibration::ranges() const {
  check(images_ > 0, "no image was observed; calibration needs at least one");
  Ranges ranges;
  for (const Watched& watched : watched_) {
    CalibratedRange& calibrated = ranges[watched.name];
    calibrated.channel_means = watched.means.means();
    calibrated.channel_squares = watched.means.mean_squares();
    calibrated.channel_peaks = watched.means.peaks();
    calibrated.channel_histogram = watched.histogram.counts();
    if (!watched.wants_range) continue;
    calibrated.seen = watched.observer.bounds();
    calibrated.range = choose_range(watched.observer, calibrator_);
    calibrated.method = to_string(calibrator_.method);
    calibrated.history = watched.history;
  }
  return ranges;
}

}  // namespace eke
