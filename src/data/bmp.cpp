// Windows bitmaps: core, info, V4 and V5 headers; 1, 4, 8, 16, 24 and 32 bits without compression.
#include <array>
#include <bit>
#include <cstdlib>

#include "data/image_formats.h"

namespace eke::image_formats {
namespace {

constexpr std::uint32_t kUncompressed = 0;
constexpr std::uint32_t kBitFields = 3;

// Little-endian fields; every read is checked.
class Fields {
 public:
  explicit Fields(Bytes bytes) : bytes_(bytes) {}

  std::uint32_t get(std::size_t at, std::size_t size) const {
    check(at <= bytes_.size() && size <= bytes_.size() - at, "the BMP header is truncated: replace the file");
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint32_t>(bytes_[at + i]) << (8 * i);
    return value;
  }
  std::uint32_t u16(std::size_t at) const { return get(at, 2); }
  std::uint32_t u32(std::size_t at) const { return get(at, 4); }
  std::int32_t i32(std::size_t at) const { return static_cast<std::int32_t>(get(at, 4)); }

 private:
  Bytes bytes_;
};

using Colour = std::array<std::uint8_t, 3>;

struct Header {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool top_down = false;
  std::uint32_t bits = 0;
  std::uint32_t compression = kUncompressed;
  std::array<std::uint32_t, 3> masks{};
  std::vector<Colour> palette;
  std::size_t pixels_at = 0;
};

void read_masks(const Fields& fields, Header& header) {
  if (header.compression == kBitFields) {
    // Behind a 40-byte header or inside a longer one, the masks lie at the same place.
    for (std::size_t c = 0; c < 3; ++c) header.masks[c] = fields.u32(54 + 4 * c);
  } else if (header.bits == 16) {
    header.masks = {0x7c00, 0x03e0, 0x001f};
  } else {
    header.masks = {0xff0000, 0x00ff00, 0x0000ff};
  }
}

void read_palette(const Fields& fields, std::size_t at, std::size_t entry_bytes, std::uint32_t claimed,
                  Header& header) {
  const std::uint32_t most = std::uint32_t{1} << header.bits;
  const std::uint32_t count = claimed == 0 || claimed > most ? most : claimed;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t bgr = fields.get(at + i * entry_bytes, 3);
    header.palette.push_back({static_cast<std::uint8_t>(bgr >> 16), static_cast<std::uint8_t>(bgr >> 8),
                              static_cast<std::uint8_t>(bgr)});
  }
}

Header read_header(const Fields& fields) {
  Header header;
  header.pixels_at = fields.u32(10);
  const std::uint32_t size = fields.u32(14);
  std::uint32_t colours = 0;
  if (size == 12) {
    header.width = fields.u16(18);
    header.height = fields.u16(20);
    header.bits = fields.u16(24);
  } else {
    check(size >= 40 && size <= 4096, "unknown BMP header of {} bytes: convert the file to PNG", size);
    header.width = fields.i32(18);
    header.height = fields.i32(22);
    header.bits = fields.u16(28);
    header.compression = fields.u32(30);
    colours = fields.u32(46);
  }
  header.top_down = header.height < 0;
  header.height = std::abs(header.height);
  const std::uint32_t bits = header.bits;
  check(bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32,
        "BMP with {} bits a pixel is not supported: convert the file to PNG", bits);
  const bool fits =
      header.compression == kUncompressed || (header.compression == kBitFields && (bits == 16 || bits == 32));
  check(fits, "compressed BMP (kind {}, as RLE) is not supported: convert the file to PNG",
        header.compression);
  if (bits <= 8) read_palette(fields, 14 + size, size == 12 ? 3 : 4, colours, header);
  if (bits == 16 || bits == 32) read_masks(fields, header);
  return header;
}

std::uint8_t masked(std::uint32_t value, std::uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const std::uint64_t most = mask >> shift;
  return static_cast<std::uint8_t>((std::uint64_t{(value & mask) >> shift} * 255 + most / 2) / most);
}

Colour pixel(const Header& header, const std::byte* row, std::size_t x) {
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(row[i]); };
  if (header.bits <= 8) {
    const std::size_t each = 8 / header.bits;
    const std::uint32_t index =
        at(x / each) >> (header.bits * (each - 1 - x % each)) & ((std::uint32_t{1} << header.bits) - 1);
    check(index < header.palette.size(), "BMP colour {} is outside its palette of {}: replace the file",
          index, header.palette.size());
    return header.palette[index];
  }
  if (header.bits == 24) {
    return {static_cast<std::uint8_t>(at(3 * x + 2)), static_cast<std::uint8_t>(at(3 * x + 1)),
            static_cast<std::uint8_t>(at(3 * x))};
  }
  const std::size_t bytes = header.bits / 8;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= at(bytes * x + i) << (8 * i);
  return {masked(value, header.masks[0]), masked(value, header.masks[1]), masked(value, header.masks[2])};
}

}  // namespace

bool is_bmp(Bytes bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{'B'} && bytes[1] == std::byte{'M'};
}

Image decode_bmp(Bytes bytes, std::int64_t max_pixels) {
  const Header header = read_header(Fields(bytes));
  check(header.width > 0 && header.height > 0, "the BMP size is {} x {}: the file is corrupt, replace it",
        header.width, header.height);
  // Both extents are below 2^32 and the bits at most 32: the product of three could overflow, these two
  // cannot.
  const std::size_t stride = (static_cast<std::size_t>(header.width) * header.bits + 31) / 32 * 4;
  const std::size_t available = header.pixels_at <= bytes.size() ? bytes.size() - header.pixels_at : 0;
  check(available / stride >= static_cast<std::size_t>(header.height),
        "the BMP data hold {} of {} rows: replace the file", available / stride, header.height);
  Image image = blank(header.width, header.height, 3, max_pixels);
  std::uint8_t* out = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    const std::size_t stored = header.top_down ? y : image.height - 1 - y;
    const std::byte* row = bytes.data() + header.pixels_at + stored * stride;
    for (int x = 0; x < image.width; ++x) {
      for (std::uint8_t value : pixel(header, row, x)) *out++ = value;
    }
  }
  return image;
}

}  // namespace eke::image_formats
