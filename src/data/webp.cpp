// WebP through libwebp; alpha is dropped by asking for RGB.
#include <webp/decode.h>

#include <cstring>

#include "data/image_formats.h"

namespace eke::image_formats {

bool is_webp(Bytes bytes) noexcept {
  return bytes.size() >= 12 && std::memcmp(bytes.data(), "RIFF", 4) == 0 &&
         std::memcmp(bytes.data() + 8, "WEBP", 4) == 0;
}

Image decode_webp(Bytes bytes, std::int64_t max_pixels) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(data, bytes.size(), &features) == VP8_STATUS_OK,
        "the WebP header is truncated or corrupt: replace the file");
  check(!features.has_animation, "animated WebP is not supported: extract one frame");
  Image image = blank(features.width, features.height, 3, max_pixels);
  check(WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), image.width * 3) !=
            nullptr,
        "the WebP data are truncated or corrupt: replace the file");
  return image;
}

}  // namespace eke::image_formats
