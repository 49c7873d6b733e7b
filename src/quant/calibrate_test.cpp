#include "quant/calibrate.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {
namespace {

using testing::HasSubstr;

Graph network(std::int64_t batch) {
  const Graph graph = parse_text(R"(graph "g"
input %x: f32[?,2,4,4] dims("N","","","")
const %w: f32[2,2,1,1] = [1,0.5,-0.25,1]
%a: f32[?,2,4,4] = Conv "conv1" (%x, %w)
%r: f32[?,2,4,4] = Relu "relu" (%a)
%c: f32[?,2,4,4] = Conv "conv2" (%r, %w)
%s: f32[?,2,4,4] = Add "add" (%c, %r)
%m: f32[?,2,2,2] = MaxPool "pool" (%s) {kernel_shape=[2,2] strides=[2,2]}
%g: f32[?,2,1,1] = GlobalAveragePool "gap" (%m)
%y: f32[?,2] = Flatten "flatten" (%g)
output %y
)");
  Bindings bindings;
  bindings.dims["N"] = batch;
  return specialize(graph, bindings);
}

std::vector<float> random_image(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> image(2 * 4 * 4);
  for (float& x : image) x = normal(random);
  return image;
}

// Images image0, image1, ... in batches; the last is filled up with values that must not count.
Ranges calibrated(const std::vector<std::vector<float>>& images, std::int64_t batch, int threads,
                  const CalibratorOptions& options) {
  const Threads pool(threads);
  Calibration calibration(network(batch), {}, options, pool);
  EXPECT_EQ(calibration.batch(), batch);
  for (std::size_t first = 0; first < images.size(); first += static_cast<std::size_t>(batch)) {
    Tensor input(calibration.input_types()[0]);
    std::ranges::fill(input.mutable_values<float>(), 1e6f);
    std::vector<std::string> names;
    for (std::size_t i = first; i < std::min(images.size(), first + static_cast<std::size_t>(batch)); ++i) {
      std::ranges::copy(images[i], input.mutable_values<float>().begin() +
                                       static_cast<std::ptrdiff_t>((i - first) * images[i].size()));
      names.push_back(fmt::format("image{}", i));
    }
    const TensorView view = input.view();
    calibration.observe({&view, 1}, names);
  }
  EXPECT_EQ(calibration.images(), static_cast<std::int64_t>(images.size()));
  return calibration.ranges();
}

std::vector<std::vector<float>> images(unsigned count) {
  std::vector<std::vector<float>> all;
  for (unsigned i = 0; i < count; ++i) all.push_back(random_image(i));
  return all;
}

TEST(Calibration, SeesWhatTheReferenceComputes) {
  const auto all = images(5);
  const Ranges ranges = calibrated(all, 1, 1, {.method = Calibrator::min_max});
  Graph graph = network(1);
  const std::vector<std::string> names = ranges_needed(graph, {});
  EXPECT_THAT(names, testing::ElementsAre("x", "r", "c", "s"));
  for (const std::string& name : names) graph.outputs.push_back(find_value(graph, name));
  std::map<std::string, Range> expected;
  for (const auto& image : all) {
    const std::vector<Tensor> values = evaluate(graph, {Tensor::from<float>({1, 2, 4, 4}, std::span(image))});
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto [lo, hi] = std::ranges::minmax(values[i + 1].values<float>());
      Range& range = expected[names[i]];
      range = {std::min(range.lo, lo), std::max(range.hi, hi)};
    }
  }
  ASSERT_EQ(ranges.size(), names.size());
  for (const auto& [name, range] : ranges) {
    EXPECT_NEAR(range.range.lo, expected[name].lo, 1e-5) << name;
    EXPECT_NEAR(range.range.hi, expected[name].hi, 1e-5) << name;
    EXPECT_EQ(range.method, "min-max");
  }
}

TEST(Calibration, DoesNotDependOnBatchesOrThreads) {
  const auto all = images(7);
  for (const Calibrator method : {Calibrator::moving_average, Calibrator::percentile, Calibrator::mse}) {
    const Ranges one = calibrated(all, 1, 1, {.method = method});
    for (const auto& [batch, threads] : {std::pair{1, 2}, {3, 1}, {4, 2}, {7, 1}}) {
      const Ranges other = calibrated(all, batch, threads, {.method = method});
      for (const auto& [name, range] : one) {
        EXPECT_EQ(other.at(name).range, range.range) << name << ", batches of " << batch;
        EXPECT_EQ(other.at(name).seen, range.seen) << name << ", batches of " << batch;
      }
    }
  }
}

TEST(Calibration, NamesTensorAndImageOfValuesThatAreNotFinite) {
  struct Case {
    float value;
    std::string_view message;
  };
  for (const Case& c :
       {Case{std::numeric_limits<float>::quiet_NaN(), "tensor 'x' is NaN in image 'image3'"},
        Case{std::numeric_limits<float>::infinity(), "tensor 'x' is infinite in image 'image3'"},
        Case{3e38f, "tensor 'r' is infinite in image 'image3'"}}) {
    auto all = images(5);
    std::ranges::fill(all[3], c.value);
    for (const std::int64_t batch : {1, 2}) {
      try {
        calibrated(all, batch, 1, {});
        FAIL() << "no error";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr(c.message));
      }
    }
  }
}

TEST(Calibration, NeedsImages) {
  const Threads one(1);
  Calibration calibration(network(2), {}, {}, one);
  EXPECT_THROW(calibration.ranges(), Error);
  const Tensor input(calibration.input_types()[0]);
  const TensorView view = input.view();
  EXPECT_THROW(calibration.observe({&view, 1}, {}), Error);
}

}  // namespace
}  // namespace eke
