// Howard et al. 2019, "Searching for MobileNetV3", tables 1 and 2.
#include <fmt/format.h>

#include <span>

#include "zoo/families.h"

namespace eke {
namespace {

constexpr Activation kRelu = Activation::relu, kSwish = Activation::hard_swish;

struct Bottleneck {
  std::int64_t kernel, expanded, out;
  bool squeeze;
  Activation activation;
  std::int64_t stride;
};

constexpr Bottleneck kSmall[] = {
    {3, 16, 16, true, kRelu, 2},   {3, 72, 24, false, kRelu, 2},  {3, 88, 24, false, kRelu, 1},
    {5, 96, 40, true, kSwish, 2},  {5, 240, 40, true, kSwish, 1}, {5, 240, 40, true, kSwish, 1},
    {5, 120, 48, true, kSwish, 1}, {5, 144, 48, true, kSwish, 1}, {5, 288, 96, true, kSwish, 2},
    {5, 576, 96, true, kSwish, 1}, {5, 576, 96, true, kSwish, 1}};

constexpr Bottleneck kLarge[] = {
    {3, 16, 16, false, kRelu, 1},   {3, 64, 24, false, kRelu, 2},   {3, 72, 24, false, kRelu, 1},
    {5, 72, 40, true, kRelu, 2},    {5, 120, 40, true, kRelu, 1},   {5, 120, 40, true, kRelu, 1},
    {3, 240, 80, false, kSwish, 2}, {3, 200, 80, false, kSwish, 1}, {3, 184, 80, false, kSwish, 1},
    {3, 184, 80, false, kSwish, 1}, {3, 480, 112, true, kSwish, 1}, {3, 672, 112, true, kSwish, 1},
    {5, 672, 160, true, kSwish, 2}, {5, 960, 160, true, kSwish, 1}, {5, 960, 160, true, kSwish, 1}};

ValueId bottleneck(NetworkBuilder& b, const std::string& name, ValueId x, const Bottleneck& row) {
  const std::int64_t expanded = b.scaled(row.expanded), out = b.scaled(row.out);
  ValueId y = x;
  if (expanded != b.channels(x)) y = b.conv_bn(name + ".expand", y, expanded, square(1), row.activation);
  y = b.depthwise_bn(name + ".depthwise", y, square(row.kernel, row.stride), row.activation);
  if (row.squeeze) {
    y = b.squeeze_excite(name + ".se", y, divisible(static_cast<double>(expanded / 4)),
                         NetworkBuilder::Gate::hard_sigmoid);
  }
  y = b.conv_bn(name + ".project", y, out, square(1), Activation::none);
  return row.stride == 1 && b.channels(x) == out ? b.add(name + ".add", x, y) : y;
}

ValueId mobilenet_v3(NetworkBuilder& b, ValueId x, std::span<const Bottleneck> table, std::int64_t hidden) {
  x = b.conv_bn("stem", x, b.scaled(16), square(3, 2), kSwish);
  int number = 0;
  for (const Bottleneck& row : table) x = bottleneck(b, fmt::format("block{}", ++number), x, row);
  x = b.conv_bn("head", x, 6 * b.channels(x), square(1), kSwish);
  x = b.flatten("flatten", b.global_average("pool", x));
  return b.dense("classifier", b.dense("hidden", x, b.scaled(hidden), kSwish), b.options().classes);
}

}  // namespace

ValueId mobilenet_v3_small(NetworkBuilder& b, ValueId image) { return mobilenet_v3(b, image, kSmall, 1024); }
ValueId mobilenet_v3_large(NetworkBuilder& b, ValueId image) { return mobilenet_v3(b, image, kLarge, 1280); }

}  // namespace eke
