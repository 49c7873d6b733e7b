#include "data/image.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/file.h"
#include "data/image_formats.h"

namespace eke {
namespace {

using image_formats::Bytes;

struct Format {
  bool (*matches)(Bytes) noexcept;
  Image (*decode)(Bytes, std::int64_t);
};

constexpr Format kFormats[] = {
    {image_formats::is_jpeg, image_formats::decode_jpeg}, {image_formats::is_png, image_formats::decode_png},
    {image_formats::is_webp, image_formats::decode_webp}, {image_formats::is_bmp, image_formats::decode_bmp},
    {image_formats::is_pnm, image_formats::decode_pnm},
};

constexpr std::string_view kExtensions[] = {".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".pnm", ".bmp", ".webp"};

}  // namespace

Image image_formats::blank(std::int64_t width, std::int64_t height, int channels, std::int64_t max_pixels) {
  check(width > 0 && height > 0, "its size is {} x {}: the file is corrupt, replace it", width, height);
  check(width <= max_pixels / height, "{} x {} is more than {} pixels: scale the image down", width, height,
        max_pixels);
  Image image{static_cast<int>(width), static_cast<int>(height), channels, {}};
  image.pixels.resize(static_cast<std::size_t>(width * height * channels));
  return image;
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name, std::int64_t max_pixels) {
  return with_context([&] { return fmt::format("image '{}'", name); },
                      [&] {
                        check(!bytes.empty(), "the file is empty: replace or remove it");
                        for (const Format& format : kFormats) {
                          if (format.matches(bytes)) return format.decode(bytes, max_pixels);
                        }
                        fail("not a JPEG, PNG, PGM/PPM, BMP or WebP image: convert or remove it");
                      });
}

Image read_image(const std::string& path) {
  const std::string bytes = read_file(path, kMaxImageFileBytes);
  return decode_image(std::as_bytes(std::span(bytes)), path);
}

bool has_image_extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(std::begin(kExtensions), std::end(kExtensions), extension) != std::end(kExtensions);
}

std::string image_extensions() {
  std::string text;
  for (std::string_view extension : kExtensions) {
    if (!text.empty()) text += ", ";
    text += extension;
  }
  return text;
}

}  // namespace eke
