// Decoded 8-bit images. The format is recognised by content, never by the name: JPEG, PNG, PGM/PPM, BMP,
// WebP. Colour management, gamma and EXIF orientation are not applied and alpha is dropped, as in Pillow's
// convert("RGB"), which is how most networks saw their training images. Knows nothing of files' meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace eke {

// Rows from top to bottom, interleaved; 1 channel is grey, 3 are red, green, blue.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  friend bool operator==(const Image&, const Image&) = default;
};

inline constexpr std::int64_t kMaxImagePixels = std::int64_t{1} << 26;
inline constexpr std::size_t kMaxImageFileBytes = std::size_t{1} << 28;

// `name` is what errors call the image. Throws on unknown, truncated or corrupt content, and above
// `max_pixels`. JPEG: grey, YCbCr, RGB, CMYK and YCCK (converted without a profile). PNG: all kinds; 16 bits
// are scaled to 8. BMP: 1, 4, 8, 16, 24 and 32 bits without RLE. PNM: P2, P3, P5, P6. WebP: still images.
Image decode_image(std::span<const std::byte> bytes, std::string_view name,
                   std::int64_t max_pixels = kMaxImagePixels);

Image read_image(const std::string& path);

// Whether a file of this name may be an image, by its extension in any case: for listing folders only.
bool has_image_extension(std::string_view name);

// The extensions of has_image_extension, for messages: ".jpg, .jpeg, ...".
std::string image_extensions();

}  // namespace eke
