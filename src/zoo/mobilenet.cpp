// Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision applications",
// table 1, with the ReLU6 of its published weights.
#include <fmt/format.h>

#include <array>

#include "zoo/families.h"

namespace eke {
namespace {

struct Separable {
  std::int64_t channels, stride;
};
constexpr std::array kLayers = {Separable{64, 1},  Separable{128, 2}, Separable{128, 1}, Separable{256, 2},
                                Separable{256, 1}, Separable{512, 2}, Separable{512, 1}, Separable{512, 1},
                                Separable{512, 1}, Separable{512, 1}, Separable{512, 1}, Separable{1024, 2},
                                Separable{1024, 1}};

}  // namespace

ValueId mobilenet_v1(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem", x, b.scaled(32), square(3, 2), Activation::relu6);
  for (std::size_t i = 0; i < kLayers.size(); ++i) {
    const std::string name = fmt::format("block{}", i + 1);
    x = b.depthwise_bn(name + ".depthwise", x, square(3, kLayers[i].stride), Activation::relu6);
    x = b.conv_bn(name + ".pointwise", x, b.scaled(kLayers[i].channels), square(1), Activation::relu6);
  }
  return b.classifier(x);
}

}  // namespace eke
