// How an image becomes the input of a network. It travels with the model, as JSON in the ONNX metadata, so
// that later commands need no flags. Plain data; threads may share it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/image.h"

namespace eke {

// Keys of the ONNX metadata_props that hold preprocess_to_json() and labels_to_json().
inline constexpr std::string_view kPreprocessKey = "eke.preprocess";
inline constexpr std::string_view kLabelsKey = "eke.labels";

enum class ChannelOrder { rgb, bgr, grey };
enum class Fit {
  squash,     // resize to the target, whatever the aspect
  crop,       // resize so that the target covers `crop` of the image, then cut out the centre
  letterbox,  // resize to fit inside the target, centre, fill with `pad`
};
enum class ImageLayout { nchw, nhwc };

// x = (pixel - mean) / scale with pixels in 0..255, entries in the order of the channels that the network
// sees; grey uses the first entry. Examples: (x - 127.5) / 127.5 is mean 127.5, scale 127.5; (x / 255 - m) /
// s is mean 255 m, scale 255 s; raw pixels are mean 0, scale 1; Caffe's is order bgr, mean 104, 117, 123,
// scale 1.
struct Preprocess {
  int width = 224;
  int height = 224;
  ChannelOrder order = ChannelOrder::rgb;
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> scale{1, 1, 1};
  Fit fit = Fit::squash;
  float crop = 0.875f;  // part of the shorter side, in (0, 1]
  int pad = 114;        // grey level, 0..255
  ImageLayout layout = ImageLayout::nchw;

  int channels() const noexcept { return order == ChannelOrder::grey ? 1 : 3; }
  std::size_t count() const noexcept { return static_cast<std::size_t>(width) * height * channels(); }
  friend bool operator==(const Preprocess&, const Preprocess&) = default;
};

std::string_view to_string(ChannelOrder order) noexcept;
std::string_view to_string(Fit fit) noexcept;
std::string_view to_string(ImageLayout layout) noexcept;

// The values of flags. They throw UsageError with the list of what is allowed.
ChannelOrder parse_channel_order(std::string_view text);
Fit parse_fit(std::string_view text);
ImageLayout parse_layout(std::string_view text);
std::array<float, 3> parse_triple(std::string_view flag, std::string_view text);  // "127.5" or "104,117,123"

// One number for a square or "WxH".
std::pair<int, int> parse_image_size(std::string_view text);

// Named normalizations. They set mean and scale; one also sets the channel order.
struct Normalization {
  std::string_view name;
  std::array<float, 3> mean;
  std::array<float, 3> scale;
  std::optional<ChannelOrder> order;
  std::string_view summary;
};
std::span<const Normalization> normalizations() noexcept;
void apply_normalization(Preprocess& preprocess, std::string_view name);  // throws UsageError with the names

// Mean and scale given for pixels in 0..1, as PyTorch's Normalize takes them.
void set_unit_normalization(Preprocess& preprocess, const std::array<float, 3>& mean,
                            const std::array<float, 3>& scale);

// Throws when an extent is not positive or above 16384, a scale is zero, or a number is not finite or out of
// range.
void verify(const Preprocess& preprocess);

// Strict: an unknown, repeated or missing-where-required key, or a wrong type, is an error with key and line.
// `width` and `height` are required, the rest have the defaults above.
std::string preprocess_to_json(const Preprocess& preprocess);
Preprocess preprocess_from_json(std::string_view text);

// A JSON array of class names.
std::string labels_to_json(std::span<const std::string> labels);
std::vector<std::string> labels_from_json(std::string_view text);

// The two halves of preprocess(): the image in the colours and the size that the network sees, still as bytes
// (grey, or red, green, blue), and those bytes as numbers. `fitted` has exactly how.width x how.height pixels.
Image fit_image(const Image& image, const Preprocess& how);
void normalize(const Image& fitted, const Preprocess& how, float* out);

// Writes how.count() floats in its layout. Throws when a step of resizing would be too large.
void preprocess(const Image& image, const Preprocess& how, float* out);

}  // namespace eke
