// PNG through libpng. Errors jump back to the members of Decoder, whose frames hold no object with a
// destructor.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <new>

#include "data/image_formats.h"
#include "data/write_png.h"

namespace eke::image_formats {
namespace {

class Decoder {
 public:
  Decoder(Bytes bytes, std::int64_t max_pixels) : rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, on_read);
    const auto limit = static_cast<png_uint_32>(std::min<std::int64_t>(max_pixels, PNG_UINT_31_MAX));
    png_set_user_limits(png_, limit, limit);
  }
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // False when the library gave up; message() says why.
  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_info(png_, info_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool decode(std::uint8_t* pixels, std::size_t stride) {
    if (setjmp(png_jmpbuf(png_))) return false;
    const std::size_t rows = png_get_image_height(png_, info_);
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::size_t y = 0; y < rows; ++y) png_read_row(png_, pixels + y * stride, nullptr);
    }
    png_read_end(png_, nullptr);
    return true;
  }

  std::int64_t width() const { return png_get_image_width(png_, info_); }
  std::int64_t height() const { return png_get_image_height(png_, info_); }
  int channels() const { return png_get_channels(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  const char* message() const { return message_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<Decoder*>(png_get_error_ptr(png));
    std::strncpy(self->message_, message, sizeof self->message_ - 1);
    png_longjmp(png, 1);
  }

  static void on_read(png_structp png, png_bytep out, std::size_t count) {
    auto* self = static_cast<Decoder*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "the file ends too early");
    std::memcpy(out, self->rest_.data(), count);
    self->rest_ = self->rest_.subspan(count);
  }

  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 0;
  char message_[128] = {};
};

}  // namespace

bool is_png(Bytes bytes) noexcept {
  return bytes.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, 8) == 0;
}

Image decode_png(Bytes bytes, std::int64_t max_pixels) {
  Decoder decoder(bytes, max_pixels);
  const auto give_up = [&] {
    fail("the PNG data are truncated or corrupt ({}): replace the file", decoder.message());
  };
  if (!decoder.read_header()) give_up();
  Image image = blank(decoder.width(), decoder.height(), decoder.channels(), max_pixels);
  const std::size_t stride = static_cast<std::size_t>(image.width) * image.channels;
  check((image.channels == 1 || image.channels == 3) && decoder.row_bytes() == stride,
        "unexpected PNG layout of {} channels: convert it to 8-bit RGB", image.channels);
  if (!decoder.decode(image.pixels.data(), stride)) give_up();
  return image;
}

}  // namespace eke::image_formats

namespace eke {

std::string to_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  check(image.width > 0 && image.height > 0, "an image of {}x{} cannot be written", image.width,
        image.height);
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
  png_alloc_size_t size = bytes.size();
  check(png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) != 0,
        "an image of {}x{} cannot be written: {}", image.width, image.height, png.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace eke
