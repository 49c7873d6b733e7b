// Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image recognition", table 1,
// column D.
#include <fmt/format.h>

#include <array>

#include "zoo/families.h"

namespace eke {
namespace {

struct Stage {
  std::int64_t channels;
  int convolutions;
};
constexpr std::array kStages = {Stage{64, 2}, Stage{128, 2}, Stage{256, 3}, Stage{512, 3}, Stage{512, 3}};
constexpr std::int64_t kHidden = 4096;

}  // namespace

ValueId vgg16(NetworkBuilder& b, ValueId x) {
  for (std::size_t s = 0; s < kStages.size(); ++s) {
    for (int i = 0; i < kStages[s].convolutions; ++i) {
      x = b.conv_act(fmt::format("conv{}_{}", s + 1, i + 1), x, b.scaled(kStages[s].channels), square(3),
                     Activation::relu);
    }
    x = b.max_pool(fmt::format("pool{}", s + 1), x, square(2, 2, 0));
  }
  x = b.flatten("flatten", x);
  x = b.dense("fc1", x, b.scaled(kHidden), Activation::relu);
  x = b.dense("fc2", x, b.scaled(kHidden), Activation::relu);
  return b.dense("classifier", x, b.options().classes);
}

}  // namespace eke
