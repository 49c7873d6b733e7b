// He et al. 2016, "Deep residual learning for image recognition", table 1, with the stride of a bottleneck in
// its 3x3 convolution, as usual today; SENet-50 is ResNet-50 with squeeze-and-excite in each block (Hu et al.
// 2018).
#include <fmt/format.h>

#include <array>

#include "zoo/families.h"

namespace eke {
namespace {

using Blocks = std::array<int, 4>;

enum class Block { basic, bottleneck, squeeze_excite };
constexpr std::int64_t kExpansion = 4, kReduction = 16;

ValueId residual(NetworkBuilder& b, const std::string& name, ValueId x, std::int64_t planes,
                 std::int64_t stride, Block block) {
  const std::int64_t out = block == Block::basic ? planes : kExpansion * planes;
  ValueId y = x;
  if (block == Block::basic) {
    y = b.conv_bn(name + ".conv1", y, planes, square(3, stride), Activation::relu);
    y = b.conv_bn(name + ".conv2", y, out, square(3), Activation::none);
  } else {
    y = b.conv_bn(name + ".conv1", y, planes, square(1), Activation::relu);
    y = b.conv_bn(name + ".conv2", y, planes, square(3, stride), Activation::relu);
    y = b.conv_bn(name + ".conv3", y, out, square(1), Activation::none);
  }
  if (block == Block::squeeze_excite)
    y = b.squeeze_excite(name + ".se", y, out / kReduction, NetworkBuilder::Gate::sigmoid);
  const bool same = stride == 1 && b.channels(x) == out;
  const ValueId shortcut =
      same ? x : b.conv_bn(name + ".shortcut", x, out, square(1, stride), Activation::none);
  return b.activate(name, b.add(name + ".add", y, shortcut), Activation::relu);
}

ValueId resnet(NetworkBuilder& b, ValueId x, const Blocks& blocks, Block block) {
  x = b.conv_bn("stem", x, b.scaled(64), square(7, 2), Activation::relu);
  x = b.max_pool("stem.pool", x, square(3, 2));
  for (int stage = 0; stage < 4; ++stage) {
    for (int i = 0; i < blocks[static_cast<std::size_t>(stage)]; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      x = residual(b, fmt::format("stage{}.{}", stage + 1, i), x, b.scaled(std::int64_t{64} << stage), stride,
                   block);
    }
  }
  return b.classifier(x);
}

}  // namespace

ValueId resnet18(NetworkBuilder& b, ValueId image) { return resnet(b, image, {2, 2, 2, 2}, Block::basic); }
ValueId resnet34(NetworkBuilder& b, ValueId image) { return resnet(b, image, {3, 4, 6, 3}, Block::basic); }
ValueId resnet50(NetworkBuilder& b, ValueId image) {
  return resnet(b, image, {3, 4, 6, 3}, Block::bottleneck);
}
ValueId senet50(NetworkBuilder& b, ValueId image) {
  return resnet(b, image, {3, 4, 6, 3}, Block::squeeze_excite);
}

}  // namespace eke
