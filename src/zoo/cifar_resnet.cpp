// ResNets for images of 32x32: ResNet-20 of He et al. 2016, section 4.2, with projections where the shape
// changes (option B), and the ResNet-8 of MLPerf Tiny (Banbury et al. 2021), whose convolutions keep their
// biases and whose projections have no BatchNormalization.
#include <fmt/format.h>

#include "zoo/families.h"

namespace eke {
namespace {

constexpr int kStages = 3;

ValueId biased(NetworkBuilder& b, const std::string& name, ValueId x, std::int64_t out, const Window& window,
               Activation activation) {
  return b.activate(name, b.batchnorm(name + ".bn", b.conv(name, x, out, window, true)), activation);
}

}  // namespace

ValueId resnet20(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem", x, b.scaled(16), square(3), Activation::relu);
  for (int stage = 0; stage < kStages; ++stage) {
    for (int i = 0; i < 3; ++i) {
      const std::string name = fmt::format("stage{}.{}", stage + 1, i);
      const std::int64_t out = b.scaled(std::int64_t{16} << stage), stride = stage > 0 && i == 0 ? 2 : 1;
      ValueId y = b.conv_bn(name + ".conv1", x, out, square(3, stride), Activation::relu);
      y = b.conv_bn(name + ".conv2", y, out, square(3), Activation::none);
      const ValueId shortcut =
          stride == 1 ? x : b.conv_bn(name + ".shortcut", x, out, square(1, stride), Activation::none);
      x = b.activate(name, b.add(name + ".add", y, shortcut), Activation::relu);
    }
  }
  return b.classifier(x);
}

ValueId resnet8(NetworkBuilder& b, ValueId x) {
  x = biased(b, "stem", x, b.scaled(16), square(3), Activation::relu);
  for (int stage = 0; stage < kStages; ++stage) {
    const std::string name = fmt::format("stage{}", stage + 1);
    const std::int64_t out = b.scaled(std::int64_t{16} << stage), stride = stage > 0 ? 2 : 1;
    ValueId y = biased(b, name + ".conv1", x, out, square(3, stride), Activation::relu);
    y = biased(b, name + ".conv2", y, out, square(3), Activation::none);
    const ValueId shortcut = stride == 1 ? x : b.conv(name + ".shortcut", x, out, square(1, stride), true);
    x = b.activate(name, b.add(name + ".add", y, shortcut), Activation::relu);
  }
  return b.classifier(x);
}

}  // namespace eke
