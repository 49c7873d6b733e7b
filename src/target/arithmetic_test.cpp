#include "target/arithmetic.h"

#include <gtest/gtest.h>

#include "passes/passes.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

// Two branches that are added, with ranges that differ.
Graph branches() {
  test::Net net({1, 3, 8, 8});
  const ValueId x = net.conv(4, 3, 1, "left");
  net.relu("left relu");
  const ValueId left = net.last();
  net.node(op::Conv{.kernel_shape = {1, 1}}, {x, net.constant({4, 4, 1, 1})}, "right");
  net.node(op::Binary{op::BinaryFn::Add}, {net.last(), left}, "add");
  net.conv(2, 1, 1, "last");
  return optimize(net.finish());
}

Graph quantized(const Graph& graph, const RewriteOptions& options) {
  Ranges ranges;
  float width = 1;
  for (const std::string& name : ranges_needed(graph, options))
    ranges[name] = {{-width, width}, {-width, width}, "test", {}}, width += 1;
  return quantize(graph, ranges, options).graph;
}

TEST(ArithmeticTest, NamesAreReadAndWritten) {
  for (const Device device : {Device::cpu, Device::tensorrt, Device::dla_orin})
    EXPECT_EQ(parse_device(to_string(device)), device);
  EXPECT_EQ(parse_device("tpu"), std::nullopt);
  EXPECT_EQ(to_string(Arithmetic{}), "cpu");
  EXPECT_EQ(to_string(Arithmetic{Device::dla_orin, parse_tensorrt_version("8.6")}),
            "dla-orin of TensorRT 8.6");
}

TEST(ArithmeticTest, TheProcessorComputesWhatTheGraphSays) {
  const Graph graph = quantized(branches(), quantize_options({}, branches(), {}));
  EXPECT_EQ(simulate(graph, {}).graph, graph);
}

TEST(ArithmeticTest, OptionsSayWhatADeviceRequires) {
  const struct {
    Arithmetic arithmetic;
    bool symmetric, sum_only, shares, all_levels;
  } kCases[] = {
      {{}, false, false, false, false},
      {{Device::tensorrt, kDefaultTensorRt}, true, true, false, false},
      {{Device::dla_orin, kDefaultTensorRt}, true, false, true, true},
      {{Device::dla_orin, parse_tensorrt_version("11.4")}, true, true, true, false},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(to_string(c.arithmetic));
    const RewriteOptions options = quantize_options(c.arithmetic, branches(), {});
    EXPECT_EQ(options.activations.symmetric, c.symmetric);
    EXPECT_EQ(options.residual_rounding == ResidualRounding::sum_only, c.sum_only);
    EXPECT_EQ(!options.shared_scales.empty(), c.shares);
    EXPECT_EQ(options.weights.all_levels, c.all_levels);
    // What was quantized so needs no change for the device.
    const Simulated simulated = simulate(quantized(branches(), options), c.arithmetic);
    for (const ExportNote& note : simulated.notes) ADD_FAILURE() << note.place << ": " << note.what;
  }
}

}  // namespace
}  // namespace eke
