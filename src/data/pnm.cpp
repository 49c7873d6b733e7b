// Netpbm's PGM and PPM, plain and raw: https://netpbm.sourceforge.net/doc/pgm.html and ppm.html.
#include <cstring>

#include "data/image_formats.h"

namespace eke::image_formats {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Reader {
 public:
  explicit Reader(Bytes bytes) : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  // A decimal number after white space and comments; `limit` is the largest that is allowed.
  std::int64_t number(std::string_view what, std::int64_t limit) {
    skip_space();
    check(at_ < text_.size(), "the PNM data end before the {}: replace the file", what);
    check(is_digit(text_[at_]), "the PNM {} is not a number: replace the file", what);
    std::int64_t value = 0;
    for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
      value = value * 10 + (text_[at_] - '0');
      check(value <= limit, "the PNM {} is above {}: the file is corrupt, replace it", what, limit);
    }
    return value;
  }

  // The raster of the raw kinds starts after exactly one white-space character.
  std::string_view raster(std::size_t size) {
    check(at_ < text_.size() && is_space(text_[at_]),
          "the PNM header does not end in white space: replace the file");
    const std::string_view rest = text_.substr(at_ + 1);
    check(rest.size() >= size, "the PNM data end after {} of {} bytes: replace the file", rest.size(), size);
    return rest.substr(0, size);
  }

  void skip(std::size_t count) { at_ += count; }

 private:
  void skip_space() {
    while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == '#')) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::uint8_t scaled(std::int64_t value, std::int64_t maximum) {
  check(value <= maximum, "a PNM sample is {}, above the maximum {}: the file is corrupt, replace it", value,
        maximum);
  return static_cast<std::uint8_t>(maximum == 255 ? value : (value * 255 + maximum / 2) / maximum);
}

void read_plain(Reader& reader, std::int64_t maximum, Image& image) {
  for (std::uint8_t& pixel : image.pixels) pixel = scaled(reader.number("sample", 65535), maximum);
}

void read_raw(Reader& reader, std::int64_t maximum, Image& image) {
  const std::size_t bytes_each = maximum > 255 ? 2 : 1;
  const std::string_view raster = reader.raster(image.pixels.size() * bytes_each);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    std::int64_t value = 0;
    for (std::size_t b = 0; b < bytes_each; ++b) {
      value = value << 8 | static_cast<unsigned char>(raster[i * bytes_each + b]);
    }
    image.pixels[i] = scaled(value, maximum);
  }
}

}  // namespace

bool is_pnm(Bytes bytes) noexcept {
  return bytes.size() >= 3 && bytes[0] == std::byte{'P'} && bytes[1] >= std::byte{'1'} &&
         bytes[1] <= std::byte{'7'} && is_space(static_cast<char>(bytes[2]));
}

Image decode_pnm(Bytes bytes, std::int64_t max_pixels) {
  const char kind = static_cast<char>(bytes[1]);
  check(kind == '2' || kind == '3' || kind == '5' || kind == '6',
        "PNM kind P{} is not supported: convert it to PGM or PPM", kind);
  Reader reader(bytes);
  reader.skip(2);
  const std::int64_t width = reader.number("width", INT32_MAX);
  const std::int64_t height = reader.number("height", INT32_MAX);
  const std::int64_t maximum = reader.number("maximum", 65535);
  check(maximum > 0, "the PNM maximum is 0: the file is corrupt, replace it");
  const bool plain = kind == '2' || kind == '3';
  const int channels = kind == '3' || kind == '6' ? 3 : 1;
  check(static_cast<double>(width) * static_cast<double>(height) * channels <=
                static_cast<double>(bytes.size()) ||
            width == 0 || height == 0,
        "the PNM data are too short for {} x {} pixels: replace the file", width, height);
  Image image = blank(width, height, channels, max_pixels);
  if (plain) {
    read_plain(reader, maximum, image);
  } else {
    read_raw(reader, maximum, image);
  }
  return image;
}

}  // namespace eke::image_formats
