// One decoder a format, for image.cpp only. A decoder gets bytes that its matcher accepted; it throws an
// Error without the name of the image, which its caller adds.
#pragma once

#include "base/error.h"
#include "data/image.h"

namespace eke::image_formats {

using Bytes = std::span<const std::byte>;

bool is_jpeg(Bytes bytes) noexcept;
bool is_png(Bytes bytes) noexcept;
bool is_pnm(Bytes bytes) noexcept;
bool is_bmp(Bytes bytes) noexcept;
bool is_webp(Bytes bytes) noexcept;

Image decode_jpeg(Bytes bytes, std::int64_t max_pixels);
Image decode_png(Bytes bytes, std::int64_t max_pixels);
Image decode_pnm(Bytes bytes, std::int64_t max_pixels);
Image decode_bmp(Bytes bytes, std::int64_t max_pixels);
Image decode_webp(Bytes bytes, std::int64_t max_pixels);

// A black image of the claimed size. Throws when the size is not positive or above the limit.
Image blank(std::int64_t width, std::int64_t height, int channels, std::int64_t max_pixels);

}  // namespace eke::image_formats
