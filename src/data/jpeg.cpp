// JPEG through libjpeg-turbo. The library reports errors by a callback that must not return: it jumps back to
// decode(), whose frame holds no object with a destructor.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include "data/image_formats.h"

namespace eke::image_formats {
namespace {

// A valid progressive image has some ten scans; thousands over a large size are an attack on time.
constexpr int kMaxScans = 500;

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  manager->base.format_message(info, manager->message);
  std::longjmp(manager->jump, 1);
}

// A negative level is a warning: the data are damaged and the library would guess. Three of them do no harm
// to pixels and occur in files of cameras.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR) return;
  on_error(info);
}

void on_progress(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  std::snprintf(manager->message, sizeof manager->message, "more than %d scans", kMaxScans);
  std::longjmp(manager->jump, 1);
}

class Decoder {
 public:
  Decoder() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.emit_message = on_message;
    errors_.base.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = on_progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // False when the library gave up; message() says why.
  bool read_header(Bytes bytes) {
    if (setjmp(errors_.jump)) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  bool decode(std::uint8_t* pixels, std::size_t stride) {
    if (setjmp(errors_.jump)) return false;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + stride * info_.output_scanline;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  jpeg_decompress_struct& info() { return info_; }
  const char* message() const { return errors_.message; }

 private:
  jpeg_decompress_struct info_{};
  jpeg_progress_mgr progress_{};
  ErrorManager errors_{};
};

// The colour space to ask for; the library converts YCCK to CMYK but not further.
J_COLOR_SPACE output_space(const jpeg_decompress_struct& info) {
  switch (info.num_components) {
    case 1:
      return JCS_GRAYSCALE;
    case 3:
      return JCS_RGB;
    case 4:
      return JCS_CMYK;
    default:
      fail("JPEG with {} colour components: convert it to RGB", info.num_components);
  }
}

// Adobe's files store inverted ink (255 is none). Rounded product as in Pillow's conversion of CMYK.
Image cmyk_to_rgb(const Image& cmyk, bool inverted) {
  Image rgb{cmyk.width, cmyk.height, 3, std::vector<std::uint8_t>(cmyk.pixels.size() / 4 * 3)};
  const std::uint8_t flip = inverted ? 0 : 255;
  for (std::size_t i = 0; i < cmyk.pixels.size() / 4; ++i) {
    const std::uint8_t* in = &cmyk.pixels[i * 4];
    const unsigned black = in[3] ^ flip;
    for (int c = 0; c < 3; ++c) {
      const unsigned product = (in[c] ^ flip) * black + 128;
      rgb.pixels[i * 3 + c] = static_cast<std::uint8_t>((product + (product >> 8)) >> 8);
    }
  }
  return rgb;
}

}  // namespace

bool is_jpeg(Bytes bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{0xff} && bytes[1] == std::byte{0xd8};
}

Image decode_jpeg(Bytes bytes, std::int64_t max_pixels) {
  Decoder decoder;
  const auto give_up = [&] {
    fail("the JPEG data are truncated or corrupt ({}): replace the file", decoder.message());
  };
  if (!decoder.read_header(bytes)) give_up();
  jpeg_decompress_struct& info = decoder.info();
  info.out_color_space = output_space(info);
  Image image = blank(info.image_width, info.image_height, info.num_components, max_pixels);
  if (!decoder.decode(image.pixels.data(), static_cast<std::size_t>(image.width) * image.channels)) give_up();
  return image.channels == 4 ? cmyk_to_rgb(image, info.saw_Adobe_marker) : image;
}

}  // namespace eke::image_formats
