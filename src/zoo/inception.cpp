// Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision": Inception v3 without the
// auxiliary classifier.
#include <fmt/format.h>

#include "zoo/families.h"

namespace eke {
namespace {

constexpr Window kRow{1, 7}, kColumn{7, 1};

// A module: branches from one value, joined at the end.
class Module {
 public:
  Module(NetworkBuilder& b, int number, ValueId x) : b_(b), name_(fmt::format("mixed{}", number)), x_(x) {}

  ValueId input() const { return x_; }
  ValueId conv(ValueId x, std::int64_t out, const Window& window) {
    return b_.conv_bn(fmt::format("{}.conv{}", name_, ++convolutions_), x, b_.scaled(out), window,
                      Activation::relu);
  }
  ValueId averaged(std::int64_t out) {
    return conv(b_.average_pool(name_ + ".average", x_, square(3)), out, square(1));
  }
  ValueId reduced() { return b_.max_pool(name_ + ".max", x_, square(3, 2, 0)); }
  ValueId join(const std::vector<ValueId>& branches) { return b_.concat(name_ + ".concat", branches); }

 private:
  NetworkBuilder& b_;
  std::string name_;
  ValueId x_;
  int convolutions_ = 0;
};

// Figure 5.
ValueId grid35(Module m, std::int64_t pooled) {
  const ValueId a = m.conv(m.input(), 64, square(1));
  const ValueId b = m.conv(m.conv(m.input(), 48, square(1)), 64, square(5));
  ValueId c = m.conv(m.input(), 64, square(1));
  c = m.conv(m.conv(c, 96, square(3)), 96, square(3));
  return m.join({a, b, c, m.averaged(pooled)});
}

// Figure 10.
ValueId reduce35(Module m) {
  const ValueId a = m.conv(m.input(), 384, square(3, 2, 0));
  const ValueId b = m.conv(m.conv(m.input(), 64, square(1)), 96, square(3));
  return m.join({a, m.conv(b, 96, square(3, 2, 0)), m.reduced()});
}

// Figure 6.
ValueId grid17(Module m, std::int64_t inner) {
  const ValueId a = m.conv(m.input(), 192, square(1));
  ValueId b = m.conv(m.input(), inner, square(1));
  b = m.conv(m.conv(b, inner, kRow), 192, kColumn);
  ValueId c = m.conv(m.input(), inner, square(1));
  c = m.conv(m.conv(c, inner, kColumn), inner, kRow);
  c = m.conv(m.conv(c, inner, kColumn), 192, kRow);
  return m.join({a, b, c, m.averaged(192)});
}

ValueId reduce17(Module m) {
  const ValueId a = m.conv(m.conv(m.input(), 192, square(1)), 320, square(3, 2, 0));
  ValueId b = m.conv(m.input(), 192, square(1));
  b = m.conv(m.conv(b, 192, kRow), 192, kColumn);
  return m.join({a, m.conv(b, 192, square(3, 2, 0)), m.reduced()});
}

// Figure 7.
ValueId grid8(Module m) {
  constexpr Window kFlat{1, 3}, kTall{3, 1};
  const ValueId a = m.conv(m.input(), 320, square(1));
  const ValueId b = m.conv(m.input(), 384, square(1));
  const ValueId b1 = m.conv(b, 384, kFlat), b2 = m.conv(b, 384, kTall);
  const ValueId c = m.conv(m.conv(m.input(), 448, square(1)), 384, square(3));
  const ValueId c1 = m.conv(c, 384, kFlat), c2 = m.conv(c, 384, kTall);
  return m.join({a, b1, b2, c1, c2, m.averaged(192)});
}

ValueId stem(NetworkBuilder& b, ValueId x) {
  x = b.conv_bn("stem.conv1", x, b.scaled(32), square(3, 2, 0), Activation::relu);
  x = b.conv_bn("stem.conv2", x, b.scaled(32), square(3, 1, 0), Activation::relu);
  x = b.conv_bn("stem.conv3", x, b.scaled(64), square(3), Activation::relu);
  x = b.max_pool("stem.pool1", x, square(3, 2, 0));
  x = b.conv_bn("stem.conv4", x, b.scaled(80), square(1), Activation::relu);
  x = b.conv_bn("stem.conv5", x, b.scaled(192), square(3, 1, 0), Activation::relu);
  return b.max_pool("stem.pool2", x, square(3, 2, 0));
}

}  // namespace

ValueId inception_v3(NetworkBuilder& b, ValueId x) {
  int number = 0;
  const auto module = [&] { return Module(b, ++number, x); };
  x = stem(b, x);
  for (const std::int64_t pooled : {32, 64, 64}) x = grid35(module(), pooled);
  x = reduce35(module());
  for (const std::int64_t inner : {128, 160, 160, 192}) x = grid17(module(), inner);
  x = reduce17(module());
  x = grid8(module());
  x = grid8(module());
  return b.classifier(x);
}

}  // namespace eke
