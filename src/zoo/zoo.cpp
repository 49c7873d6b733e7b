#include "zoo/zoo.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "base/error.h"
#include "zoo/builder.h"
#include "zoo/families.h"

namespace eke {
namespace {

constexpr std::int64_t kMaxClasses = 1'000'000, kMaxInput = 8192;
constexpr double kMinWidth = 1.0 / 64, kMaxWidth = 16;

// The one list.
constexpr std::array kArchitectures = {
    Architecture{"vgg16", 1000, 224, "imagenet", "VGG-16 (Simonyan and Zisserman 2014)", vgg16},
    Architecture{"resnet18", 1000, 224, "imagenet", "ResNet-18 (He et al. 2016)", resnet18},
    Architecture{"resnet34", 1000, 224, "imagenet", "ResNet-34 (He et al. 2016)", resnet34},
    Architecture{"resnet50", 1000, 224, "imagenet", "ResNet-50, stride in the 3x3 (He et al. 2016)",
                 resnet50},
    Architecture{"senet50", 1000, 224, "imagenet", "ResNet-50 with squeeze-and-excite (Hu et al. 2018)",
                 senet50},
    Architecture{"mobilenet_v1", 1000, 224, "tf", "MobileNet v1 (Howard et al. 2017)", mobilenet_v1},
    Architecture{"mobilenet_v2", 1000, 224, "imagenet", "MobileNet v2 (Sandler et al. 2018)", mobilenet_v2},
    Architecture{"mobilenet_v3_small", 1000, 224, "imagenet", "MobileNet v3 small (Howard et al. 2019)",
                 mobilenet_v3_small},
    Architecture{"mobilenet_v3_large", 1000, 224, "imagenet", "MobileNet v3 large (Howard et al. 2019)",
                 mobilenet_v3_large},
    Architecture{"mobilefacenet", 128, 112, "tf", "MobileFaceNet, an embedding of faces (Chen et al. 2018)",
                 mobilefacenet},
    Architecture{"squeezenet", 1000, 224, "imagenet", "SqueezeNet 1.1 (Iandola et al. 2016)", squeezenet},
    Architecture{"efficientnet_lite0", 1000, 224, "tf", "EfficientNet-Lite0 (Tan and Le 2019)",
                 efficientnet_lite0},
    Architecture{"inception_v3", 1000, 299, "tf", "Inception v3 (Szegedy et al. 2016)", inception_v3},
    Architecture{"resnet8", 10, 32, "tf", "ResNet-8 of MLPerf Tiny (Banbury et al. 2021)", resnet8},
    Architecture{"resnet20", 10, 32, "imagenet", "ResNet-20 for 32x32 (He et al. 2016)", resnet20},
};

template <class T>
void check_range(std::string_view what, T value, T lo, T hi) {
  if (!(value >= lo && value <= hi))
    throw UsageError(fmt::format("{} is {}; {} to {} is possible", what, value, lo, hi));
}

}  // namespace

std::span<const Architecture> architectures() noexcept { return kArchitectures; }

const Architecture& find_architecture(std::string_view name) {
  std::string names;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == name) return architecture;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", architecture.name);
  }
  throw UsageError(fmt::format("there is no architecture '{}'; there are {}", name, names));
}

Graph make_network(const Architecture& architecture, const NetworkOptions& given) {
  NetworkOptions options = given;
  if (options.classes == 0) options.classes = architecture.classes;
  if (options.input == 0) options.input = architecture.input;
  check_range<std::int64_t>("the number of classes", options.classes, 1, kMaxClasses);
  check_range<std::int64_t>("the size of the input", options.input, 1, kMaxInput);
  check_range("the width", options.width, kMinWidth, kMaxWidth);
  return with_context(
      [&] { return fmt::format("{} at {}x{}", architecture.name, options.input, options.input); },
      [&] {
        NetworkBuilder b(options);
        const ValueId scores = architecture.build(b, b.image());
        return std::move(b).finish(scores, architecture.name);
      });
}

}  // namespace eke
