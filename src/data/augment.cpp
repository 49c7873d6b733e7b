#include "data/augment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace eke {
namespace {

struct Strength {
  std::string_view name;
  float Augmentation::*value;
  float usual, most;
};

constexpr Strength kStrengths[] = {
    {"crop", &Augmentation::crop, 0.25f, 0.95f},    {"shift", &Augmentation::shift, 0.1f, 0.95f},
    {"rotation", &Augmentation::rotation, 10, 180}, {"colour", &Augmentation::colour, 0.2f, 0.95f},
    {"erase", &Augmentation::erase, 0.5f, 1},
};

[[noreturn]] void fail_augmentation(std::string_view text) {
  std::string allowed = "none, flip";
  for (const Strength& s : kStrengths) allowed += fmt::format(", {}={} (up to {})", s.name, s.usual, s.most);
  throw UsageError(fmt::format("augmentation '{}' is unknown: give names with commas, of {}", text, allowed));
}

void apply(Augmentation& result, std::string_view item) {
  if (item == "flip") {
    result.flip = true;
    return;
  }
  const std::size_t equals = std::min(item.find('='), item.size());
  for (const Strength& s : kStrengths) {
    if (s.name != item.substr(0, equals)) continue;
    float value = s.usual;
    if (equals < item.size()) {
      const char* end = item.data() + item.size();
      const auto [stop, error] = std::from_chars(item.data() + equals + 1, end, value);
      if (error != std::errc() || stop != end || !(value >= 0 && value <= s.most)) fail_augmentation(item);
    }
    result.*s.value = value;
    return;
  }
  fail_augmentation(item);
}

// Where the pixel (x, y) of the result comes from: (a x + b y + c, d x + e y + f).
struct Affine {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

Affine draw_geometry(const Image& image, const Augmentation& how, Random& random) {
  const double width = image.width, height = image.height;
  // A window of this part of the extents, with an aspect of 3/4 to 4/3 as in Inception's crops.
  double part_x = 1, part_y = 1;
  if (how.crop > 0) {
    const double area = random.uniform(1 - how.crop, 1);
    const double aspect = std::exp(random.uniform(std::log(0.75), std::log(4.0 / 3)));
    part_x = std::min(1.0, std::sqrt(area * aspect));
    part_y = std::min(1.0, area / part_x);
  }
  const double slack_x = (1 - part_x) / 2, slack_y = (1 - part_y) / 2;
  const double centre_x =
      width * (0.5 + random.uniform(-slack_x, slack_x) + random.uniform(-1, 1) * how.shift);
  const double centre_y =
      height * (0.5 + random.uniform(-slack_y, slack_y) + random.uniform(-1, 1) * how.shift);
  const double angle = random.uniform(-1, 1) * how.rotation * std::numbers::pi / 180;
  const double mirror = random.uniform() < 0.5 && how.flip ? -1 : 1;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  Affine m{cosine * part_x * mirror, -sine * part_y, 0, sine * part_x * mirror, cosine * part_y, 0};
  // The centres of both meet; pixels are sampled at their centres.
  m.c = centre_x - 0.5 - m.a * (width / 2 - 0.5) - m.b * (height / 2 - 0.5);
  m.f = centre_y - 0.5 - m.d * (width / 2 - 0.5) - m.e * (height / 2 - 0.5);
  return m;
}

// In 16.16 fixed point with 8-bit weights, so that the result is the same on every machine.
Image warped(const Image& image, const Affine& m) {
  Image out = image;
  const auto fixed = [](double x) { return static_cast<std::int64_t>(std::llround(x * 65536)); };
  const std::int64_t step_x = fixed(m.a), step_y = fixed(m.d);
  const int channels = image.channels;
  std::uint8_t* to = out.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    std::int64_t sx = fixed(m.b * y + m.c), sy = fixed(m.e * y + m.f);
    for (int x = 0; x < image.width; ++x, sx += step_x, sy += step_y) {
      const std::int64_t px = std::clamp<std::int64_t>(sx, 0, std::int64_t{image.width - 1} << 16);
      const std::int64_t py = std::clamp<std::int64_t>(sy, 0, std::int64_t{image.height - 1} << 16);
      const auto x0 = static_cast<int>(px >> 16), y0 = static_cast<int>(py >> 16);
      const int x1 = std::min(x0 + 1, image.width - 1), y1 = std::min(y0 + 1, image.height - 1);
      const int wx = static_cast<int>(px >> 8) & 255, wy = static_cast<int>(py >> 8) & 255;
      const auto at = [&](int px_, int py_) {
        return image.pixels.data() + (static_cast<std::size_t>(py_) * image.width + px_) * channels;
      };
      const std::uint8_t *p00 = at(x0, y0), *p10 = at(x1, y0), *p01 = at(x0, y1), *p11 = at(x1, y1);
      for (int c = 0; c < channels; ++c) {
        const int top = p00[c] * (256 - wx) + p10[c] * wx, bottom = p01[c] * (256 - wx) + p11[c] * wx;
        *to++ = static_cast<std::uint8_t>((top * (256 - wy) + bottom * wy + 32768) >> 16);
      }
    }
  }
  return out;
}

int luma(const std::uint8_t* p, int channels) {
  return channels == 1 ? p[0] : (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;
}

void change_colours(Image& image, float strength, Random& random) {
  const double brightness = random.uniform(1 - strength, 1 + strength);
  const double contrast = random.uniform(1 - strength, 1 + strength);
  const double saturation = random.uniform(1 - strength, 1 + strength);
  const int channels = image.channels;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += channels) sum += luma(&image.pixels[i], channels);
  const double mean = static_cast<double>(sum) * channels / static_cast<double>(image.pixels.size());
  // x -> brightness * (contrast * (saturation * x + (1 - saturation) * grey) + (1 - contrast) * mean)
  const auto own = static_cast<int>(std::lround(65536 * brightness * contrast * saturation));
  const auto grey = static_cast<int>(std::lround(65536 * brightness * contrast * (1 - saturation)));
  const auto constant = static_cast<int>(std::lround(65536 * brightness * (1 - contrast) * mean)) + 32768;
  for (std::size_t i = 0; i < image.pixels.size(); i += channels) {
    const std::int64_t base = std::int64_t{grey} * luma(&image.pixels[i], channels) + constant;
    for (int c = 0; c < channels; ++c) {
      const std::int64_t value = (base + std::int64_t{own} * image.pixels[i + c]) >> 16;
      image.pixels[i + c] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
    }
  }
}

// A rectangle of 2 to 20 % of the area, filled with noise.
void erase_rectangle(Image& image, Random& random) {
  const double area = random.uniform(0.02, 0.2) * image.width * image.height;
  const double aspect = std::exp(random.uniform(std::log(0.3), std::log(1 / 0.3)));
  const int width = std::clamp(static_cast<int>(std::sqrt(area * aspect)), 1, image.width);
  const int height = std::clamp(static_cast<int>(std::sqrt(area / aspect)), 1, image.height);
  const auto left = static_cast<int>(random.below(static_cast<std::uint64_t>(image.width - width + 1)));
  const auto top = static_cast<int>(random.below(static_cast<std::uint64_t>(image.height - height + 1)));
  for (int y = top; y < top + height; ++y) {
    std::uint8_t* row = &image.pixels[(static_cast<std::size_t>(y) * image.width + left) * image.channels];
    for (int i = 0; i < width * image.channels; ++i) row[i] = static_cast<std::uint8_t>(random.next() >> 56);
  }
}

}  // namespace

bool Augmentation::any() const noexcept { return *this != Augmentation{}; }

Augmentation parse_augmentation(std::string_view text) {
  Augmentation result;
  if (text == "none") return result;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    apply(result, text.substr(at, comma - at));
    at = comma + 1;
  }
  return result;
}

std::string to_string(const Augmentation& augmentation) {
  std::string text = augmentation.flip ? "flip" : "";
  for (const Strength& s : kStrengths) {
    if (augmentation.*s.value == 0) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", s.name, augmentation.*s.value);
  }
  return text.empty() ? "none" : text;
}

Image augmented(const Image& image, const Augmentation& how, Random random) {
  const bool moves = how.crop > 0 || how.shift > 0 || how.flip || how.rotation > 0;
  Image out = moves ? warped(image, draw_geometry(image, how, random)) : image;
  if (how.colour > 0) change_colours(out, how.colour, random);
  if (how.erase > 0 && random.uniform() < how.erase) erase_rectangle(out, random);
  return out;
}

}  // namespace eke
