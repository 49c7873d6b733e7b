#include "ptq/judge.h"

#include <algorithm>

#include "data/rows.h"
#include "ptq/outputs.h"

namespace eke {

namespace {
int largest(const std::vector<float>& output) { return top_k(output, 1).at(0); }
}  // namespace

CalibrationParts hold_back(const Dataset& images, bool judged) {
  constexpr std::size_t kFewest = 2;  // a spread needs two
  const std::size_t held = images.size() / 4;
  if (!judged || held < kFewest) return {images, std::nullopt};
  Dataset::Split split = images.split(images.size() - held);
  return {std::move(split.chosen), std::move(split.rest)};
}

HeldBack held_back_images(const Dataset& data, const Preprocess& preprocess, const Threads& threads,
                          bool labelled, int class_offset, OnProgress progress) {
  HeldBack held{{data, preprocess, threads, std::move(progress)}, {}};
  if (labelled && data.has_labels()) {
    for (const Sample& sample : data.samples()) held.labels.push_back(sample.label + class_offset);
  }
  return held;
}

Judge::Judge(const Graph& graph, HeldBack& held, const Threads& threads) : held_(held), threads_(threads) {
  run(graph, Floats::f32, [&](std::vector<float> output) {
    const std::size_t image = reference_.size();
    right_.push_back(held_.labels.empty() || largest(output) == held_.labels[image]);
    reference_.push_back(std::move(output));
  });
}

Judged Judge::of(const Graph& graph, Floats floats) {
  Judged judged;
  run(graph, floats, [&](const std::vector<float>& output) {
    const std::size_t image = judged.right.size();
    judged.sqnr_db.push_back(std::min(sqnr_db(reference_[image], output), kExactDb));
    judged.right.push_back(largest(output) ==
                           (held_.labels.empty() ? largest(reference_[image]) : held_.labels[image]));
  });
  return judged;
}

void Judge::run(const Graph& graph, Floats floats,
                const std::function<void(std::vector<float> output)>& take) {
  each_output(
      graph, held_.images, 0, threads_,
      [&](std::vector<float> output, const std::string& image) {
        check_finite(output, image);
        take(std::move(output));
      },
      floats);
}

}  // namespace eke
