// Networks to train in tests and benchmarks: random weights (He et al., 2015), unfolded BatchNorm.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace eke::testing {

class NetworkBuilder {
 public:
  explicit NetworkBuilder(Shape image, std::uint64_t seed = 1) : random_(seed) {
    Shape shape{kDynamic};
    for (const std::int64_t extent : image) shape.push_back(extent);
    graph_.inputs = {graph_.add_value("images", {DType::f32, shape})};
    graph_[graph_.inputs[0]].dim_names = {"N", "", "", ""};
    channels_ = image[0];
  }

  ValueId input() const { return graph_.inputs[0]; }
  std::int64_t channels() const { return channels_; }

  // Clamp: 0 none, 6 Relu6, infinity Relu.
  ValueId conv(ValueId x, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
               std::int64_t group = 1, bool bias = false) {
    const std::string name = "conv" + std::to_string(next_++);
    const std::int64_t pad = kernel / 2;
    std::vector<ValueId> inputs{x,
                                random(name + ".w", {out, in / group, kernel, kernel},
                                       std::sqrt(2.0f / static_cast<float>(in / group * kernel * kernel)))};
    if (bias) inputs.push_back(filled(name + ".b", out, 0));
    return graph_.add_node(op::Conv{.kernel_shape = {kernel, kernel},
                                    .strides = {stride, stride},
                                    .pads = {pad, pad, pad, pad},
                                    .group = group},
                           inputs, name);
  }
  ValueId norm(ValueId x, std::int64_t channels) {
    const std::string name = "norm" + std::to_string(next_++);
    return graph_.add_node(op::BatchNormalization{},
                           {x, filled(name + ".scale", channels, 1), filled(name + ".shift", channels, 0),
                            filled(name + ".mean", channels, 0), filled(name + ".var", channels, 1)},
                           name);
  }
  ValueId relu(ValueId x) { return graph_.add_node(op::Unary{op::UnaryFn::Relu}, {x}, named("relu")); }
  ValueId relu6(ValueId x) {
    const std::string name = named("relu6");
    return graph_.add_node(op::Clip{},
                           {x, graph_.add_constant(name + ".lo", Tensor::scalar(0.0f)),
                            graph_.add_constant(name + ".hi", Tensor::scalar(6.0f))},
                           name);
  }
  ValueId add(ValueId a, ValueId b) {
    return graph_.add_node(op::Binary{op::BinaryFn::Add}, {a, b}, named("add"));
  }
  ValueId max_pool(ValueId x, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return graph_.add_node(
        op::MaxPool{
            .kernel_shape = {kernel, kernel}, .strides = {stride, stride}, .pads = {pad, pad, pad, pad}},
        {x}, named("pool"));
  }

  Graph finish(ValueId x, std::int64_t channels, std::int64_t classes) {
    const ValueId pooled = graph_.add_node(op::GlobalAveragePool{}, {x}, "average");
    const ValueId flat = graph_.add_node(op::Flatten{}, {pooled}, "flat");
    const ValueId logits = graph_.add_node(
        op::Gemm{.transB = 1},
        {flat, random("head.w", {classes, channels}, 1 / std::sqrt(static_cast<float>(channels))),
         filled("head.b", classes, 0)},
        "head", {"logits"});
    graph_.outputs = {logits};
    verify(graph_);
    return std::move(graph_);
  }

 private:
  std::string named(const std::string& what) { return what + std::to_string(next_++); }

  ValueId random(const std::string& name, const Shape& shape, float deviation) {
    Tensor tensor(DType::f32, shape);
    std::normal_distribution<float> draw(0, deviation);
    for (float& x : tensor.mutable_values<float>()) x = draw(random_);
    return graph_.add_constant(name, std::move(tensor));
  }
  ValueId filled(const std::string& name, std::int64_t count, float value) {
    Tensor tensor(DType::f32, {count});
    for (float& x : tensor.mutable_values<float>()) x = value;
    return graph_.add_constant(name, std::move(tensor));
  }

  Graph graph_;
  std::mt19937_64 random_;
  std::int64_t channels_ = 0;
  int next_ = 0;
};

// Of everything a little: strides, a depthwise convolution, a residual, pooling, a convolution with a bias.
inline Graph small_network(std::int64_t classes, std::int64_t size = 12) {
  NetworkBuilder b({3, size, size});
  ValueId x = b.relu(b.norm(b.conv(b.input(), 3, 8, 3, 2), 8));
  ValueId y = b.relu6(b.norm(b.conv(x, 8, 24, 1, 1), 24));
  y = b.relu6(b.norm(b.conv(y, 24, 24, 3, 1, 24), 24));
  y = b.norm(b.conv(y, 24, 8, 1, 1), 8);
  x = b.relu(b.add(x, y));
  x = b.max_pool(x, 3, 2, 1);
  x = b.relu(b.conv(x, 8, 20, 3, 2, 1, true));
  return b.finish(x, 20, classes);
}

// Sandler et al., MobileNetV2, 2018.
inline Graph mobilenet_v2(std::int64_t size, std::int64_t classes) {
  NetworkBuilder b({3, size, size});
  ValueId x = b.relu6(b.norm(b.conv(b.input(), 3, 32, 3, 2), 32));
  std::int64_t in = 32;
  const struct {
    std::int64_t expansion, channels, repeats, stride;
  } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  for (const auto& stage : stages)
    for (std::int64_t i = 0; i < stage.repeats; ++i) {
      const std::int64_t wide = in * stage.expansion, stride = i == 0 ? stage.stride : 1;
      ValueId y = x;
      if (stage.expansion != 1) y = b.relu6(b.norm(b.conv(y, in, wide, 1, 1), wide));
      y = b.relu6(b.norm(b.conv(y, wide, wide, 3, stride, wide), wide));
      y = b.norm(b.conv(y, wide, stage.channels, 1, 1), stage.channels);
      x = stride == 1 && in == stage.channels ? b.add(x, y) : y;
      in = stage.channels;
    }
  x = b.relu6(b.norm(b.conv(x, in, 1280, 1, 1), 1280));
  return b.finish(x, 1280, classes);
}

// He et al., Deep Residual Learning, 2015.
inline Graph resnet_18(std::int64_t size, std::int64_t classes) {
  NetworkBuilder b({3, size, size});
  ValueId x = b.max_pool(b.relu(b.norm(b.conv(b.input(), 3, 64, 7, 2), 64)), 3, 2, 1);
  std::int64_t in = 64;
  for (const std::int64_t channels : {64, 128, 256, 512})
    for (int i = 0; i < 2; ++i) {
      const std::int64_t stride = i == 0 && channels != 64 ? 2 : 1;
      ValueId y = b.relu(b.norm(b.conv(x, in, channels, 3, stride), channels));
      y = b.norm(b.conv(y, channels, channels, 3, 1), channels);
      const ValueId shortcut = stride == 1 ? x : b.norm(b.conv(x, in, channels, 1, stride), channels);
      x = b.relu(b.add(y, shortcut));
      in = channels;
    }
  return b.finish(x, 512, classes);
}

}  // namespace eke::testing
