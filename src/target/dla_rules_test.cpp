// Every limit of the table at, below and above its bounds.
#include "target/dla_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// A graph whose last node has the quantity at a value; `lo` and `hi` are the last values within the limit, the
// others the first ones outside (none: there is no such network).
struct Case {
  DlaLayer layer;
  const char* quantity;
  double below, lo, hi, above;
  std::function<Graph(std::int64_t)> make;
  DlaPrecision precision = DlaPrecision::int8;
};

Graph conv(const Shape& x, const Shape& w, std::int64_t pad = 0, std::int64_t stride = 1,
           std::int64_t dilation = 1, std::int64_t group = 1) {
  Net net(x);
  op::Conv a;
  for (int axis = 2; axis < w.rank(); ++axis) {
    a.kernel_shape.push_back(w[axis]);
    a.strides.push_back(stride);
    a.dilations.push_back(dilation);
  }
  a.pads.assign(2 * a.kernel_shape.size(), pad);
  a.group = group;
  net.add(std::move(a), {net.constant(w)});
  return net.finish();
}

Graph deconv(const Shape& x, const Shape& w, std::int64_t stride = 1, std::int64_t pad = 0,
             std::int64_t dilation = 1, std::int64_t group = 1) {
  Net net(x);
  op::ConvTranspose a;
  for (int axis = 2; axis < w.rank(); ++axis) {
    a.kernel_shape.push_back(w[axis]);
    a.strides.push_back(w[axis] == 1 ? 1 : stride);
    a.dilations.push_back(dilation);
  }
  a.pads.assign(2 * a.kernel_shape.size(), pad);
  a.group = group;
  net.add(std::move(a), {net.constant(w)});
  return net.finish();
}

template <class A>
Graph pool(const Shape& x, std::int64_t window, std::int64_t stride = 1, std::int64_t pad = 0,
           std::int64_t dilation = 1) {
  Net net(x);
  A a;
  const auto axes = static_cast<std::size_t>(x.rank() - 2);
  a.kernel_shape.assign(axes, window);
  a.strides.assign(axes, stride);
  a.pads.assign(2 * axes, pad);
  a.dilations.assign(axes, dilation);
  net.add(std::move(a));
  return net.finish();
}

Graph clip(float lo, float hi) {
  Net net({1, 4, 8, 8});
  net.add(op::Clip{}, {net.scalar(lo), net.scalar(hi)});
  return net.finish();
}

Graph resized(const Shape& x, const std::vector<float>& scales, const char* mode,
              const char* coordinates = "half_pixel", const char* rounding = "round_prefer_floor") {
  Net net(x);
  op::Resize a;
  a.mode = mode;
  a.coordinate_transformation_mode = coordinates;
  a.nearest_mode = rounding;
  const ValueId s = net.graph().add_constant(
      "scales", Tensor::from<float>({static_cast<std::int64_t>(scales.size())}, scales));
  net.add(std::move(a), {kNoValue, s});
  return net.finish();
}

Graph sliced(const Shape& x, std::int64_t axis, std::int64_t end, std::int64_t step) {
  Net net(x);
  net.add(op::Slice{}, {net.ints({0}), net.ints({end}), net.ints({axis}), net.ints({step})});
  return net.finish();
}

Graph with_second_input(Op op, const Shape& x, const Shape& second) {
  Net net(x);
  const ValueId other = net.graph().add_value("y", {DType::f32, second});
  net.graph().inputs.push_back(other);
  net.add(std::move(op), {other});
  return net.finish();
}

Graph with_constant(Op op, const Shape& x, const Shape& constant) {
  Net net(x);
  net.add(std::move(op), {net.constant(constant)});
  return net.finish();
}

Graph softmax_of(const Shape& x, std::int64_t axis) {
  Net net(x);
  op::Softmax a;
  a.axis = axis;
  net.add(a);
  return net.finish();
}

Graph lrn_of(std::int64_t size) {
  Net net({1, 16, 4, 4});
  op::LRN a;
  a.size = size;
  net.add(a);
  return net.finish();
}

Op binary(op::BinaryFn fn) { return op::Binary{fn}; }

std::vector<Case> cases() {
  using enum DlaLayer;
  using op::BinaryFn;
  const auto yes_or_no = [](DlaLayer layer, const char* quantity, bool allowed,
                            std::function<Graph(std::int64_t)> make) {
    return allowed ? Case{layer, quantity, 0, 1, 1, kNone, std::move(make)}
                   : Case{layer, quantity, kNone, 0, 0, 1, std::move(make)};
  };
  return {
      {any, "batch", kNone, 1, 4096, 4097,
       [](auto n) {
         return conv({n, 1, 2, 2}, {1, 1, 1, 1});
       }},
      {any, "extent", kNone, 1, 8192, 8193,
       [](auto n) {
         return pool<op::MaxPool>({1, 1, 1, n}, 1);
       }},

      {convolution, "spatial axes", 1, 2, 2, 3,
       [](auto n) {
         return n == 1   ? conv({1, 2, 8}, {2, 2, 1})
                : n == 2 ? conv({1, 2, 8, 8}, {2, 2, 1, 1})
                         : conv({1, 2, 8, 8, 8}, {2, 2, 1, 1, 1});
       }},
      {convolution, "kernel", kNone, 1, 32, 33,
       [](auto n) {
         return conv({1, 2, 40, 40}, {2, 2, n, n});
       }},
      {convolution, "padding", kNone, 0, 31, 32,
       [](auto n) {
         return conv({1, 1, 40, 40}, {2, 1, 32, 32}, n);
       }},
      {convolution, "padding less kernel", kNone, -3, -1, 0,
       [](auto n) {
         return conv({1, 2, 8, 8}, {2, 2, 3, 3}, 3 + n);
       }},
      {convolution, "stride", kNone, 1, 8, 9,
       [](auto n) {
         return conv({1, 2, 40, 40}, {2, 2, 3, 3}, 0, n);
       }},
      {convolution, "dilation", kNone, 1, 32, 33,
       [](auto n) {
         return conv({1, 2, 80, 80}, {2, 2, 3, 3}, 0, 1, n);
       }},
      {convolution, "output maps", kNone, 1, 8192, 8193,
       [](auto n) {
         return conv({1, 1, 2, 2}, {n, 1, 1, 1});
       }},
      {convolution, "groups", kNone, 1, 8192, 8193,
       [](auto n) {
         return conv({1, n, 1, 1}, {n, 1, 1, 1}, 0, 1, 1, n);
       }},
      yes_or_no(convolution, "constant weights", true,
                [](auto n) {
                  return n == 1 ? conv({1, 2, 8, 8}, {2, 2, 1, 1})
                                : with_second_input(op::Conv{}, {1, 2, 8, 8}, {2, 2, 1, 1});
                }),
      // 8192 channels in int8: one bank of weights, and one of data for four columns.
      {convolution, "CBUF banks", kNone, 2, 16, 17,
       [](auto n) {
         return conv({1, 8192, 1, 4 * (n - 1)}, {1, 8192, 1, 1});
       }},

      {deconvolution, "spatial axes", 1, 2, 2, kNone,
       [](auto n) {
         return n == 1 ? deconv({1, 2, 8}, {2, 2, 2}) : deconv({1, 2, 8, 8}, {2, 2, 2, 2});
       }},
      {deconvolution, "kernel", kNone, 1, 32, 33,
       [](auto n) {
         return deconv({1, 2, 4, 4}, {2, 2, n, n});
       }},
      {deconvolution, "stride", kNone, 1, 32, 33,
       [](auto n) {
         return deconv({1, 2, 2, 2}, {2, 2, 1, 4}, n);
       }},
      {deconvolution, "stride of a square kernel", kNone, 1, 22, 23,
       [](auto n) {
         return deconv({1, 2, 2, 2}, {2, 2, 2, 2}, n);
       }},
      {deconvolution, "padding", kNone, 0, 0, 1,
       [](auto n) {
         return deconv({1, 2, 4, 4}, {2, 2, 3, 3}, 1, n);
       }},
      {deconvolution, "groups", kNone, 1, 1, 2,
       [](auto n) {
         return deconv({1, 2, 4, 4}, {2, 2, 3, 3}, 1, 0, 1, n);
       }},
      {deconvolution, "dilation", kNone, 1, 1, 2,
       [](auto n) {
         return deconv({1, 2, 4, 4}, {2, 2, 3, 3}, 1, 0, n);
       }},
      {deconvolution, "input channels", kNone, 1, 8192, 8193,
       [](auto n) {
         return deconv({1, n, 1, 1}, {n, 1, 1, 1});
       }},
      {deconvolution, "output maps", kNone, 1, 8192, 8193,
       [](auto n) {
         return deconv({1, 1, 1, 1}, {1, n, 1, 1});
       }},
      yes_or_no(deconvolution, "constant weights", true,
                [](auto n) {
                  return n == 1 ? deconv({1, 2, 8, 8}, {2, 2, 1, 1})
                                : with_second_input(op::ConvTranspose{}, {1, 2, 8, 8}, {2, 2, 1, 1});
                }),

      {pooling, "spatial axes", 1, 2, 2, 3,
       [](auto n) {
         return n == 1   ? pool<op::MaxPool>({1, 2, 8}, 2)
                : n == 2 ? pool<op::MaxPool>({1, 2, 8, 8}, 2)
                         : pool<op::MaxPool>({1, 2, 8, 8, 8}, 2);
       }},
      {pooling, "window", kNone, 1, 8, 9,
       [](auto n) {
         return pool<op::AveragePool>({1, 2, 20, 20}, n);
       }},
      {pooling, "padding", kNone, 0, 7, 8,
       [](auto n) {
         return pool<op::MaxPool>({1, 2, 20, 20}, n == 8 ? 9 : 8, 1, n);
       }},
      {pooling, "stride", kNone, 1, 16, 17,
       [](auto n) {
         return pool<op::MaxPool>({1, 2, 40, 40}, 2, n);
       }},
      {pooling, "dilation", kNone, 1, 1, 2,
       [](auto n) {
         return pool<op::MaxPool>({1, 2, 20, 20}, 3, 1, 0, n);
       }},

      {activation, "lower bound of Clip", -1, 0, 0, 1, [](auto n) { return clip(static_cast<float>(n), 6); }},
      {activation, "upper bound of Clip", 0, 1, 127, 128,
       [](auto n) { return clip(0, static_cast<float>(n)); }},
      yes_or_no(prelu, "constant slope", true,
                [](auto n) {
                  return n == 1 ? with_constant(binary(BinaryFn::PRelu), {1, 4, 8, 8}, {4, 1, 1})
                                : with_second_input(binary(BinaryFn::PRelu), {1, 4, 8, 8}, {4, 1, 1});
                }),

      yes_or_no(elementwise, "broadcast other than NC11 and N111", false,
                [](auto n) {
                  return with_second_input(binary(BinaryFn::Mul), {1, 4, 8, 8},
                                           n == 0 ? Shape{1, 4, 1, 1} : Shape{1, 4, 8, 1});
                }),
      yes_or_no(elementwise, "constant operand", false,
                [](auto n) {
                  return n == 0 ? with_second_input(binary(BinaryFn::Sub), {1, 4, 8, 8}, {1, 4, 8, 8})
                                : with_constant(binary(BinaryFn::Sub), {1, 4, 8, 8}, {4, 1, 1});
                }),
      yes_or_no(
          scale, "constant other than one a tensor, channel or element", false,
          [](auto n) {
            return with_constant(binary(BinaryFn::Add), {1, 4, 8, 8}, n == 0 ? Shape{4, 1, 1} : Shape{8});
          }),
      yes_or_no(scale, "constant parameters", true,
                [](auto n) {
                  Net net({1, 4, 8, 8});
                  ValueId mean = net.constant({4});
                  if (n == 0) {
                    mean = net.graph().add_value("mean", {DType::f32, {4}});
                    net.graph().inputs.push_back(mean);
                  }
                  net.add(op::BatchNormalization{},
                          {net.constant({4}), net.constant({4}), mean, net.constant({4})});
                  return net.finish();
                }),

      {lrn, "size", 1, 3, 9, 11, [](auto n) { return lrn_of(n); }},
      yes_or_no(lrn, "even size", false, [](auto n) { return lrn_of(n == 0 ? 5 : 4); }),

      {concatenation, "axis from the end", 2, 3, 3, 4,
       [](auto n) {
         return with_second_input(op::Concat{4 - n}, {1, 4, 8, 8}, {1, 4, 8, 8});
       }},
      {concatenation, "inputs", 1, 2, kNone, kNone,
       [](auto n) {
         Net net({1, 4, 8, 8});
         n == 1 ? net.add(op::Concat{1}) : net.add(op::Concat{1}, {net.last()});
         return net.finish();
       }},

      {resize, "rank", 3, 4, 4, 5,
       [](auto n) {
         return n == 3   ? resized({1, 2, 4}, {1, 1, 2}, "nearest")
                : n == 4 ? resized({1, 2, 4, 4}, {1, 1, 2, 2}, "nearest")
                         : resized({1, 2, 4, 4, 4}, {1, 1, 2, 2, 2}, "nearest");
       }},
      {resize, "scale of batch or channels", kNone, 1, 1, 2,
       [](auto n) {
         return resized({1, 2, 4, 4}, {1, static_cast<float>(n), 2, 2}, "nearest");
       }},
      yes_or_no(resize, "fraction of a scale", false,
                [](auto n) {
                  return resized({1, 2, 4, 4}, {1, 1, n == 0 ? 2.f : 1.5f, 2}, "nearest");
                }),
      {resize, "scale, nearest", kNone, 1, 32, 33,
       [](auto n) {
         return resized({1, 2, 2, 2}, {1, 1, static_cast<float>(n), 1}, "nearest");
       }},
      {resize, "scale, bilinear", kNone, 1, 4, 5,
       [](auto n) {
         return resized({1, 2, 2, 2}, {1, 1, static_cast<float>(n), 1}, "linear");
       }},
      yes_or_no(
          resize, "mode other than the documented ones", false,
          [](auto n) {
            return resized({1, 2, 4, 4}, {1, 1, 2, 2}, "nearest", "asymmetric", n == 0 ? "floor" : "ceil");
          }),

      yes_or_no(softmax, "axis over batch", false,
                [](auto n) {
                  return softmax_of({2, 4, 1, 1}, n == 0 ? 1 : 0);
                }),
      {DlaLayer::softmax, "extent of the only axis", kNone, 1, 8192, 8193,
       [](auto n) {
         return softmax_of({1, n, 1, 1}, 1);
       }},
      {DlaLayer::softmax, "extent of the axis", kNone, 1, 1024, 1025,
       [](auto n) {
         return softmax_of({1, n, 2, 1}, 1);
       }},

      {slice, "rank", 3, 4, 4, 5,
       [](auto n) {
         return n == 3   ? sliced({1, 4, 8}, 1, 2, 1)
                : n == 4 ? sliced({1, 4, 8, 8}, 1, 2, 1)
                         : sliced({1, 4, 8, 8, 8}, 1, 2, 1);
       }},
      {slice, "step", kNone, 1, 1, 2,
       [](auto n) {
         return sliced({1, 4, 8, 8}, 2, 8, n);
       }},
      yes_or_no(slice, "cuts the batch", false,
                [](auto n) {
                  return sliced({2, 4, 8, 8}, n == 0 ? 1 : 0, 1, 1);
                }),

      yes_or_no(shuffle, "moves the batch", false,
                [](auto n) {
                  Net net({2, 4, 8, 8});
                  net.add(op::Transpose{n == 0 ? op::Ints{0, 2, 3, 1} : op::Ints{1, 0, 2, 3}});
                  return net.finish();
                }),
      yes_or_no(shuffle, "reshape next to a Slice or Concat", false,
                [](auto n) {
                  Net net({1, 4, 8, 8});
                  n == 0 ? net.relu() : net.add(op::Concat{1}, {net.last()});
                  const std::int64_t channels = net.shape()[1];
                  net.add(op::Reshape{}, {net.ints({1, channels, 64, 1})});
                  return net.finish();
                }),
  };
}

// Limits that no valid network of the project's operators breaks: parameters are constants since types are known.
bool is_unreachable(const DlaLimit& limit) {
  return limit.quantity == "constant parameters" && limit.layer != DlaLayer::scale;
}

// For each known version, whether the limit is broken at that value.
std::vector<bool> breaks(const Case& c, double value) {
  const Graph graph = c.make(static_cast<std::int64_t>(value));
  std::vector<bool> result;
  for (const TensorRtVersion& version : known_tensorrt_versions()) {
    const DlaVerdict verdict = DlaJudge(graph, {version, c.precision}).judge(graph.nodes.back());
    result.push_back(
        std::ranges::any_of(verdict.broken, [&](const BrokenLimit& b) { return b.quantity == c.quantity; }));
  }
  return result;
}

// For each known version, whether the table has the limit.
std::vector<bool> versions_with(const Case& c) {
  std::vector<bool> result;
  for (const TensorRtVersion& version : known_tensorrt_versions())
    result.push_back(std::ranges::any_of(dla_limits(), [&](const DlaLimit& limit) {
      return limit.layer == c.layer && limit.quantity == c.quantity && limit.versions.contains(version);
    }));
  return result;
}

TEST(DlaRulesTest, EveryLimitHoldsAtItsBoundsAndNotBeyondInEachVersion) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(std::string(to_string(c.layer)) + ", " + c.quantity);
    for (const double outside : {c.below, c.above}) {
      if (!std::isnan(outside)) {
        EXPECT_EQ(breaks(c, outside), versions_with(c)) << outside;
      }
    }
    for (const double inside : {c.lo, c.hi}) {
      if (!std::isnan(inside)) {
        EXPECT_THAT(breaks(c, inside), testing::Each(false)) << inside;
      }
    }
  }
}

TEST(DlaRulesTest, EveryLimitHasACase) {
  const std::vector<Case> all = cases();
  for (const DlaLimit& limit : dla_limits()) {
    const bool covered = std::ranges::any_of(
        all, [&](const Case& c) { return c.layer == limit.layer && limit.quantity == c.quantity; });
    EXPECT_TRUE(covered || is_unreachable(limit)) << to_string(limit.layer) << ", " << limit.quantity;
    EXPECT_FALSE(limit.source.empty()) << limit.quantity;
  }
}

TEST(DlaRulesTest, CountsBanksAsInTheWorkedExample) {
  // The 7x7 stem with stride 2 of ResNet at 224x224.
  const CbufBanks int8 = cbuf_banks({3, 7, 7, 1, 224}, DlaPrecision::int8);
  EXPECT_EQ(int8.weights, 1);
  EXPECT_EQ(int8.data, 2);
  const CbufBanks fp16 = cbuf_banks({512, 3, 3, 2, 28}, DlaPrecision::fp16);
  EXPECT_EQ(fp16.weights, 1);  // 9216 bytes
  EXPECT_EQ(fp16.data, 5);     // ceil(32 * 28 / 4) = 224 entries a row, 5 rows, 256 entries a bank: 4.4
}

TEST(DlaRulesTest, LongFlatKernelsOfDeconvolutionsAreAllowed) {
  for (const auto& [extent, allowed] :
       {std::pair{32, true}, {33, false}, {64, true}, {96, true}, {128, true}, {127, false}}) {
    const Graph graph = deconv({1, 2, 2, 2}, {2, 2, 1, extent});
    EXPECT_EQ(DlaJudge(graph, {}).judge(graph.nodes.back()).runs_on_dla(), allowed) << extent;
  }
}

struct Placement {
  const char* op;
  Op attributes;
  std::vector<Shape> constants;
  bool on_85, on_103, on_114;
};

TEST(DlaRulesTest, KnowsOperatorsByVersion) {
  using op::UnaryFn;
  const Placement rows[] = {
      {"Relu", op::Unary{UnaryFn::Relu}, {}, true, true, true},
      {"Sigmoid", op::Unary{UnaryFn::Sigmoid}, {}, true, true, true},
      {"HardSwish", op::Unary{UnaryFn::HardSwish}, {}, false, false, false},
      {"Abs", op::Unary{UnaryFn::Abs}, {}, true, true, true},
      {"Sin", op::Unary{UnaryFn::Sin}, {}, false, true, true},
      {"Exp", op::Unary{UnaryFn::Exp}, {}, false, false, false},
      {"GlobalAveragePool", op::GlobalAveragePool{}, {}, false, false, false},
      {"GlobalMaxPool", op::GlobalMaxPool{}, {}, false, true, true},
      {"Flatten", op::Flatten{}, {}, false, false, false},
      {"HardSigmoid", op::HardSigmoid{}, {}, false, false, false},
      {"LeakyRelu", op::LeakyRelu{}, {}, true, true, true},
      {"Mul", op::Binary{op::BinaryFn::Mul}, {Shape{4, 1, 1}}, true, true, true},
  };
  for (const Placement& row : rows) {
    Net net({1, 4, 8, 8});
    std::vector<ValueId> constants;
    for (const Shape& shape : row.constants) constants.push_back(net.constant(shape));
    net.add(row.attributes, constants);
    const Graph graph = net.finish();
    const auto on = [&](int major, int minor) {
      return DlaJudge(graph, {TensorRtVersion{major, minor}, DlaPrecision::int8})
          .judge(graph.nodes[0])
          .runs_on_dla();
    };
    EXPECT_EQ(on(8, 5), row.on_85) << row.op;
    EXPECT_EQ(on(10, 3), row.on_103) << row.op;
    EXPECT_EQ(on(11, 4), row.on_114) << row.op;
  }
}

TEST(DlaRulesTest, SaysWhatIsBroken) {
  const Graph graph = pool<op::AveragePool>({1, 2, 20, 20}, 14);
  const DlaVerdict verdict = DlaJudge(graph, {}).judge(graph.nodes[0]);
  ASSERT_EQ(verdict.broken.size(), 1u);
  EXPECT_EQ(to_string(verdict.broken[0]), "window is 14; 1 to 8 is possible");
  EXPECT_NE(verdict.broken[0].source, "");
  EXPECT_THAT(std::string(verdict.remedy), testing::HasSubstr("eke fit"));
}

}  // namespace
}  // namespace eke
