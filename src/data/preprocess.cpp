#include "data/preprocess.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "data/resize.h"

namespace eke {
namespace {

constexpr int kMaxExtent = 16384;

template <class E>
struct Name {
  E value;
  std::string_view text;
};

constexpr Name<ChannelOrder> kOrders[] = {
    {ChannelOrder::rgb, "rgb"}, {ChannelOrder::bgr, "bgr"}, {ChannelOrder::grey, "grey"}};
constexpr Name<Fit> kFits[] = {{Fit::squash, "squash"}, {Fit::crop, "crop"}, {Fit::letterbox, "letterbox"}};
constexpr Name<ImageLayout> kLayouts[] = {{ImageLayout::nchw, "nchw"}, {ImageLayout::nhwc, "nhwc"}};

template <class E, std::size_t N>
std::string_view name_of(const Name<E> (&names)[N], E value) noexcept {
  for (const auto& name : names) {
    if (name.value == value) return name.text;
  }
  return "?";
}

template <class E, std::size_t N>
E parse_name(const Name<E> (&names)[N], std::string_view what, std::string_view text) {
  std::string allowed;
  for (const auto& name : names) {
    if (name.text == text) return name.value;
    allowed += allowed.empty() ? "" : ", ";
    allowed += name.text;
  }
  throw UsageError(fmt::format("{} '{}' is unknown: use one of {}", what, text, allowed));
}

constexpr Normalization kNormalizations[] = {
    {"raw", {0, 0, 0}, {1, 1, 1}, std::nullopt, "pixels as they are, 0..255"},
    {"unit", {0, 0, 0}, {255, 255, 255}, std::nullopt, "x / 255, 0..1"},
    {"tf", {127.5f, 127.5f, 127.5f}, {127.5f, 127.5f, 127.5f}, std::nullopt, "(x - 127.5) / 127.5, -1..1"},
    {"imagenet",
     {123.675f, 116.28f, 103.53f},
     {58.395f, 57.12f, 57.375f},
     std::nullopt,
     "(x / 255 - mean) / std of PyTorch's ImageNet networks"},
    {"caffe", {104, 117, 123}, {1, 1, 1}, ChannelOrder::bgr, "BGR minus (104, 117, 123)"},
};

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Image in_order(const Image& image, ChannelOrder order) {
  return order == ChannelOrder::grey ? to_grey(image) : image;
}

int scaled_extent(int extent, double factor) {
  return std::max(1, static_cast<int>(std::floor(extent * factor + 1e-6)));
}

// The sizes and rounding of torchvision's Resize and CenterCrop.
Image fit_crop(const Preprocess& p, const Image& image) {
  const double factor = std::max(std::floor(p.width / p.crop + 0.5) / image.width,
                                 std::floor(p.height / p.crop + 0.5) / image.height);
  const int width = std::max(p.width, scaled_extent(image.width, factor));
  const int height = std::max(p.height, scaled_extent(image.height, factor));
  const Image resized = resize_bilinear(image, width, height);
  return crop(resized, static_cast<int>(std::nearbyint((width - p.width) / 2.0)),
              static_cast<int>(std::nearbyint((height - p.height) / 2.0)), p.width, p.height);
}

Image fit_letterbox(const Preprocess& p, const Image& image) {
  const double factor =
      std::min(static_cast<double>(p.width) / image.width, static_cast<double>(p.height) / image.height);
  const int width = std::min(p.width, scaled_extent(image.width, factor));
  const int height = std::min(p.height, scaled_extent(image.height, factor));
  const Image resized = resize_bilinear(image, width, height);
  Image out{p.width, p.height, image.channels, {}};
  out.pixels.assign(std::size_t{1} * p.width * p.height * image.channels, static_cast<std::uint8_t>(p.pad));
  const std::size_t stride = static_cast<std::size_t>(width) * image.channels;
  for (int y = 0; y < height; ++y) {
    const std::size_t to =
        (static_cast<std::size_t>(y + (p.height - height) / 2) * p.width + (p.width - width) / 2) *
        image.channels;
    std::copy_n(resized.pixels.begin() + y * stride, stride, out.pixels.begin() + to);
  }
  return out;
}

Image fitted(const Preprocess& p, const Image& image) {
  switch (p.fit) {
    case Fit::crop:
      return fit_crop(p, image);
    case Fit::letterbox:
      return fit_letterbox(p, image);
    case Fit::squash:
      break;
  }
  return resize_bilinear(image, p.width, p.height);
}

}  // namespace

std::string_view to_string(ChannelOrder order) noexcept { return name_of(kOrders, order); }
std::string_view to_string(Fit fit) noexcept { return name_of(kFits, fit); }
std::string_view to_string(ImageLayout layout) noexcept { return name_of(kLayouts, layout); }

ChannelOrder parse_channel_order(std::string_view text) { return parse_name(kOrders, "channel order", text); }
Fit parse_fit(std::string_view text) { return parse_name(kFits, "fit", text); }
ImageLayout parse_layout(std::string_view text) { return parse_name(kLayouts, "layout", text); }

std::array<float, 3> parse_triple(std::string_view flag, std::string_view text) {
  std::vector<float> values;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::optional<float> value = parse_number<float>(text.substr(at, comma - at));
    if (!value || !std::isfinite(*value)) break;
    values.push_back(*value);
    at = comma + 1;
    if (at > text.size() && values.size() == 1) return {values[0], values[0], values[0]};
    if (at > text.size() && values.size() == 3) return {values[0], values[1], values[2]};
  }
  throw UsageError(
      fmt::format("{} '{}': give one number, or three with commas as in 104,117,123", flag, text));
}

std::pair<int, int> parse_image_size(std::string_view text) {
  const std::size_t x = text.find('x');
  const std::optional<int> width = parse_number<int>(text.substr(0, x));
  const std::optional<int> height =
      x == std::string_view::npos ? width : parse_number<int>(text.substr(x + 1));
  if (!width || !height || *width < 1 || *height < 1 || *width > kMaxExtent || *height > kMaxExtent) {
    throw UsageError(fmt::format(
        "image size '{}': give a number as 224, or width x height as 320x240, up to {}", text, kMaxExtent));
  }
  return {*width, *height};
}

std::span<const Normalization> normalizations() noexcept { return kNormalizations; }

void apply_normalization(Preprocess& preprocess, std::string_view name) {
  std::string allowed;
  for (const Normalization& row : kNormalizations) {
    if (row.name == name) {
      preprocess.mean = row.mean;
      preprocess.scale = row.scale;
      if (row.order) preprocess.order = *row.order;
      return;
    }
    allowed += fmt::format("{}{} ({})", allowed.empty() ? "" : ", ", row.name, row.summary);
  }
  throw UsageError(fmt::format("normalization '{}' is unknown: use one of {}", name, allowed));
}

void set_unit_normalization(Preprocess& preprocess, const std::array<float, 3>& mean,
                            const std::array<float, 3>& scale) {
  for (std::size_t c = 0; c < 3; ++c) {
    preprocess.mean[c] = mean[c] * 255.0f;
    preprocess.scale[c] = scale[c] * 255.0f;
  }
}

void verify(const Preprocess& p) {
  check(p.width >= 1 && p.width <= kMaxExtent && p.height >= 1 && p.height <= kMaxExtent,
        "preprocessing: the size {} x {} is not within 1..{}", p.width, p.height, kMaxExtent);
  check(p.width <= kMaxImagePixels / p.height, "preprocessing: the size {} x {} is more than {} pixels",
        p.width, p.height, kMaxImagePixels);
  for (std::size_t c = 0; c < 3; ++c) {
    check(std::isfinite(p.mean[c]), "preprocessing: mean {} is not finite", p.mean[c]);
    check(std::isfinite(p.scale[c]) && p.scale[c] != 0,
          "preprocessing: scale {} is zero or not finite: 1 leaves pixels as they are", p.scale[c]);
  }
  check(p.crop > 0 && p.crop <= 1, "preprocessing: crop {} is not above 0 and up to 1", p.crop);
  check(p.pad >= 0 && p.pad <= 255, "preprocessing: pad {} is not within 0..255", p.pad);
}

Image fit_image(const Image& image, const Preprocess& p) { return fitted(p, in_order(image, p.order)); }

void normalize(const Image& ready, const Preprocess& p, float* out) {
  const int channels = p.channels();
  const std::size_t pixels = static_cast<std::size_t>(p.width) * p.height;
  for (int c = 0; c < channels; ++c) {
    const int source = ready.channels == 1 ? 0 : p.order == ChannelOrder::bgr ? 2 - c : c;
    std::array<float, 256> table;
    for (int value = 0; value < 256; ++value) {
      table[value] = (static_cast<float>(value) - p.mean[c]) / p.scale[c];
    }
    const std::uint8_t* from = ready.pixels.data() + source;
    float* to = p.layout == ImageLayout::nchw ? out + c * pixels : out + c;
    const std::size_t step = p.layout == ImageLayout::nchw ? 1 : channels;
    for (std::size_t i = 0; i < pixels; ++i) to[i * step] = table[from[i * ready.channels]];
  }
}

void preprocess(const Image& image, const Preprocess& how, float* out) {
  normalize(fit_image(image, how), how, out);
}

}  // namespace eke
