// Iandola et al. 2016, "SqueezeNet", in its version 1.1.
#include <fmt/format.h>

#include "zoo/families.h"

namespace eke {
namespace {

ValueId fire(NetworkBuilder& b, int number, ValueId x, std::int64_t squeezed, std::int64_t expanded) {
  const std::string name = fmt::format("fire{}", number);
  x = b.conv_act(name + ".squeeze", x, b.scaled(squeezed), square(1), Activation::relu);
  return b.concat(name + ".concat",
                  {b.conv_act(name + ".expand1x1", x, b.scaled(expanded), square(1), Activation::relu),
                   b.conv_act(name + ".expand3x3", x, b.scaled(expanded), square(3), Activation::relu)});
}

}  // namespace

ValueId squeezenet(NetworkBuilder& b, ValueId x) {
  const auto pool = [&](int number, ValueId y) {
    return b.max_pool(fmt::format("pool{}", number), y, square(3, 2, 0), true);
  };
  x = b.conv_act("stem", x, b.scaled(64), square(3, 2, 0), Activation::relu);
  x = fire(b, 2, pool(1, x), 16, 64);
  x = pool(3, fire(b, 3, x, 16, 64));
  x = fire(b, 4, x, 32, 128);
  x = pool(5, fire(b, 5, x, 32, 128));
  x = fire(b, 6, x, 48, 192);
  x = fire(b, 7, x, 48, 192);
  x = fire(b, 8, x, 64, 256);
  x = fire(b, 9, x, 64, 256);
  x = b.conv_act("classifier", x, b.options().classes, square(1), Activation::relu);
  return b.flatten("flatten", b.global_average("pool", x));
}

}  // namespace eke
