// Networks of inverted residuals with linear bottlenecks (Sandler et al. 2018, "MobileNetV2"): MobileNet v2,
// EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excite and with ReLU6) and MobileFaceNet (Chen et
// al. 2018, table 1).
#include <fmt/format.h>

#include <span>

#include "zoo/families.h"

namespace eke {
namespace {

struct Stage {
  std::int64_t expansion, channels;
  int blocks;
  std::int64_t stride, kernel = 3;
};

ValueId inverted_residual(NetworkBuilder& b, const std::string& name, ValueId x, const Stage& stage,
                          std::int64_t stride, Activation activation) {
  const std::int64_t out = b.scaled(stage.channels);
  ValueId y = x;
  if (stage.expansion != 1)
    y = b.conv_bn(name + ".expand", y, stage.expansion * b.channels(x), square(1), activation);
  y = b.depthwise_bn(name + ".depthwise", y, square(stage.kernel, stride), activation);
  y = b.conv_bn(name + ".project", y, out, square(1), Activation::none);
  return stride == 1 && b.channels(x) == out ? b.add(name + ".add", x, y) : y;
}

ValueId stages(NetworkBuilder& b, ValueId x, std::span<const Stage> table, Activation activation) {
  int number = 0;
  for (const Stage& stage : table) {
    for (int i = 0; i < stage.blocks; ++i) {
      x = inverted_residual(b, fmt::format("block{}", ++number), x, stage, i == 0 ? stage.stride : 1,
                            activation);
    }
  }
  return x;
}

constexpr Stage kMobilenetV2[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr Stage kEfficientnetLite0[] = {{1, 16, 1, 1, 3}, {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5},
                                        {6, 80, 3, 2, 3}, {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5},
                                        {6, 320, 1, 1, 3}};
constexpr Stage kMobilefacenet[] = {
    {2, 64, 5, 2}, {4, 128, 1, 2}, {2, 128, 6, 1}, {4, 128, 1, 2}, {2, 128, 2, 1}};

}  // namespace

ValueId mobilenet_v2(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem", x, b.scaled(32), square(3, 2), Activation::relu6);
  x = stages(b, x, kMobilenetV2, Activation::relu6);
  const std::int64_t head = b.options().width > 1 ? b.scaled(1280) : 1280;  // never narrowed
  return b.classifier(b.conv_bn("head", x, head, square(1), Activation::relu6));
}

ValueId efficientnet_lite0(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem", x, 32, square(3, 2), Activation::relu6);  // stem and head are never scaled
  x = stages(b, x, kEfficientnetLite0, Activation::relu6);
  return b.classifier(b.conv_bn("head", x, 1280, square(1), Activation::relu6));
}

ValueId mobilefacenet(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem", x, b.scaled(64), square(3, 2), Activation::prelu);
  x = b.depthwise_bn("stem.depthwise", x, square(3), Activation::prelu);
  x = stages(b, x, kMobilefacenet, Activation::prelu);
  x = b.conv_bn("head", x, b.scaled(512), square(1), Activation::prelu);
  // A depthwise convolution over the whole map instead of a global average.
  x = b.depthwise_bn("global", x, square(b.height(x), 1, 0), Activation::none);
  x = b.conv_bn("embedding", x, b.options().classes, square(1), Activation::none);
  return b.flatten("flatten", x);
}

}  // namespace eke
