#include "data/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <webp/encode.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <span>

#include <jpeglib.h>

#include "base/error.h"
#include "data/write_png.h"

namespace eke {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string text_of(std::initializer_list<int> bytes) {
  std::string text;
  for (int byte : bytes) text += static_cast<char>(byte);
  return text;
}

Image decode(std::string_view bytes) { return decode_image(std::as_bytes(std::span(bytes)), "test.img"); }

std::string error_of(std::string_view bytes) {
  try {
    decode(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A smooth image, so that lossy formats stay near it.
Image gradient(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<std::uint8_t>(40 + 100 * x / width + 60 * y / height + 20 * c));
      }
    }
  }
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 256;
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

struct JpegOptions {
  J_COLOR_SPACE in = JCS_RGB;
  J_COLOR_SPACE stored = JCS_YCbCr;
  bool progressive = false;
  bool adobe = true;
};

std::string encode_jpeg(const Image& image, const JpegOptions& options = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = image.channels;
  info.in_color_space = options.in;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, options.stored);
  jpeg_set_quality(&info, 98, TRUE);
  info.write_Adobe_marker = options.adobe;
  for (int c = 0; c < info.num_components; ++c)
    info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  if (options.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPLE*>(&image.pixels[info.next_scanline * image.width * image.channels]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string result(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return result;
}

struct PngOptions {
  int colour_type = PNG_COLOR_TYPE_RGB;
  int depth = 8;
  bool interlaced = false;
  std::vector<png_color> palette;
};

// `rows` holds the samples as PNG packs them.
std::string encode_png(int width, int height, const std::vector<std::uint8_t>& rows,
                       const PngOptions& options = {}) {
  std::string result;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &result,
      [](png_structp p, png_bytep bytes, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(bytes), size);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, options.depth, options.colour_type,
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!options.palette.empty()) {
    png_set_PLTE(png, info, options.palette.data(), static_cast<int>(options.palette.size()));
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  const std::size_t stride = rows.size() / height;
  for (int y = 0; y < height; ++y) pointers.push_back(const_cast<png_bytep>(rows.data() + y * stride));
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return result;
}

std::string encode_webp(const Image& image, bool lossless) {
  std::uint8_t* bytes = nullptr;
  const std::size_t size =
      lossless
          ? WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, image.width * 3, &bytes)
          : WebPEncodeRGB(image.pixels.data(), image.width, image.height, image.width * 3, 95, &bytes);
  std::string result(reinterpret_cast<char*>(bytes), size);
  WebPFree(bytes);
  return result;
}

std::string little(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(std::uint64_t{value} >> (8 * i));
  return text;
}

// A bitmap with a 40-byte header; `extra` holds masks or the palette.
std::string bmp(int width, int height, int bits, std::uint32_t compression, const std::string& extra,
                const std::string& rows, std::uint32_t colours = 0) {
  return "BM" + little(54 + extra.size() + rows.size(), 4) + little(0, 4) + little(54 + extra.size(), 4) +
         little(40, 4) + little(width, 4) + little(height, 4) + little(1, 2) + little(bits, 2) +
         little(compression, 4) + little(rows.size(), 4) + little(0, 8) + little(colours, 4) + little(0, 4) +
         extra + rows;
}

std::string black_and_white() { return text_of({0, 0, 0, 0, 255, 255, 255, 0}); }

struct Exact {
  const char* what;
  std::string bytes;
  Image expected;
};

std::vector<Exact> exact_cases() {
  const Image rgb = gradient(9, 7, 3), grey = gradient(5, 6, 1);
  const PngOptions palette{PNG_COLOR_TYPE_PALETTE, 8, false, {{1, 2, 3}, {250, 251, 252}}};
  return {
      {"png rgb", encode_png(9, 7, rgb.pixels), rgb},
      {"png interlaced", encode_png(9, 7, rgb.pixels, {PNG_COLOR_TYPE_RGB, 8, true, {}}), rgb},
      {"png grey", encode_png(5, 6, grey.pixels, {PNG_COLOR_TYPE_GRAY, 8, false, {}}), grey},
      {"png grey interlaced", encode_png(5, 6, grey.pixels, {PNG_COLOR_TYPE_GRAY, 8, true, {}}), grey},
      {"png palette",
       encode_png(2, 2, {0, 1, 1, 0}, palette),
       {2, 2, 3, {1, 2, 3, 250, 251, 252, 250, 251, 252, 1, 2, 3}}},
      {"png 1-bit grey",
       encode_png(3, 1, {0b10100000}, {PNG_COLOR_TYPE_GRAY, 1, false, {}}),
       {3, 1, 1, {255, 0, 255}}},
      {"png 16-bit grey",
       encode_png(3, 1, {0, 0, 128, 128, 255, 255}, {PNG_COLOR_TYPE_GRAY, 16, false, {}}),
       {3, 1, 1, {0, 128, 255}}},
      {"png 16-bit rgb",
       encode_png(1, 1, {1, 1, 2, 2, 254, 254}, {PNG_COLOR_TYPE_RGB, 16, false, {}}),
       {1, 1, 3, {1, 2, 254}}},
      {"png alpha is dropped",
       encode_png(1, 1, {9, 8, 7, 0}, {PNG_COLOR_TYPE_RGB_ALPHA, 8, false, {}}),
       {1, 1, 3, {9, 8, 7}}},
      {"png grey alpha",
       encode_png(2, 1, {9, 0, 8, 255}, {PNG_COLOR_TYPE_GRAY_ALPHA, 8, false, {}}),
       {2, 1, 1, {9, 8}}},
      {"webp lossless", encode_webp(rgb, true), rgb},
      {"pgm plain",
       "P2\n# a comment\n3 #and here\n2 15\n0 5 15\n10 1 3",
       {3, 2, 1, {0, 85, 255, 170, 17, 51}}},
      {"ppm plain", "P3 1 2 255 1 2 3\n4 5 6", {1, 2, 3, {1, 2, 3, 4, 5, 6}}},
      {"pgm raw", "P5\n#CREATOR: x\n2 2\n255\n" + text_of({0, 10, 32, 255}), {2, 2, 1, {0, 10, 32, 255}}},
      {"ppm raw", "P6 1 1 255 " + text_of({7, 8, 9}), {1, 1, 3, {7, 8, 9}}},
      {"pgm 16-bit", "P5 2 1 65535 " + text_of({128, 128, 255, 255}), {2, 1, 1, {128, 255}}},
      {"pgm one pixel", "P5 1 1 255 x", {1, 1, 1, {'x'}}},
      {"bmp 24",
       bmp(2, 2, 24, 0, "", text_of({3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0})),
       {2, 2, 3, {7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6}}},
      {"bmp top-down",
       bmp(1, -2, 24, 0, "", text_of({3, 2, 1, 0, 6, 5, 4, 0})),
       {1, 2, 3, {1, 2, 3, 4, 5, 6}}},
      {"bmp 32", bmp(1, 1, 32, 0, "", text_of({3, 2, 1, 77})), {1, 1, 3, {1, 2, 3}}},
      {"bmp 32 masks",
       bmp(1, 1, 32, 3, little(0xff, 4) + little(0xff00, 4) + little(0xff0000, 4), text_of({1, 2, 3, 0})),
       {1, 1, 3, {1, 2, 3}}},
      {"bmp 16", bmp(1, 1, 16, 0, "", little(0x7c1f, 2) + little(0, 2)), {1, 1, 3, {255, 0, 255}}},
      {"bmp 8",
       bmp(2, 1, 8, 0, text_of({3, 2, 1, 0, 6, 5, 4, 0}), text_of({1, 0, 0, 0}), 2),
       {2, 1, 3, {4, 5, 6, 1, 2, 3}}},
      {"bmp 4",
       bmp(3, 1, 4, 0, black_and_white(), text_of({0x01, 0x10, 0, 0}), 2),
       {3, 1, 3, {0, 0, 0, 255, 255, 255, 255, 255, 255}}},
      {"bmp 1",
       bmp(3, 1, 1, 0, black_and_white(), text_of({0b01000000, 0, 0, 0})),
       {3, 1, 3, {0, 0, 0, 255, 255, 255, 0, 0, 0}}},
      {"bmp core header",
       "BM" + little(30, 4) + little(0, 4) + little(26, 4) + little(12, 4) + little(1, 2) + little(1, 2) +
           little(1, 2) + little(24, 2) + text_of({3, 2, 1, 0}),
       {1, 1, 3, {1, 2, 3}}},
  };
}

TEST(DecodeImage, LosslessFormatsAreExact) {
  for (const Exact& row : exact_cases()) {
    SCOPED_TRACE(row.what);
    try {
      EXPECT_EQ(decode(row.bytes), row.expected);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(DecodeImage, LossyFormatsAreNear) {
  const Image rgb = gradient(19, 23, 3), grey = gradient(17, 9, 1);
  EXPECT_LE(largest_difference(decode(encode_jpeg(rgb)), rgb), 6);
  EXPECT_LE(largest_difference(decode(encode_jpeg(rgb, {JCS_RGB, JCS_RGB, false, true})), rgb), 6);
  EXPECT_LE(largest_difference(decode(encode_jpeg(rgb, {JCS_RGB, JCS_YCbCr, true, false})), rgb), 6);
  EXPECT_LE(largest_difference(decode(encode_jpeg(grey, {JCS_GRAYSCALE, JCS_GRAYSCALE, false, false})), grey),
            6);
  EXPECT_LE(largest_difference(decode(encode_jpeg(gradient(1, 1, 3))), gradient(1, 1, 3)), 6);
  EXPECT_LE(largest_difference(decode(encode_webp(rgb, false)), rgb), 24);
}

TEST(DecodeImage, ConvertsInkToColour) {
  // Adobe stores 255 for no ink: colour = (stored ink) x (stored black) / 255. Other files store ink as it
  // is.
  const Image ink{1, 1, 4, {200, 100, 50, 128}};
  const Image inverted{1, 1, 3, {100, 50, 25}}, plain{1, 1, 3, {27, 77, 102}};
  EXPECT_LE(largest_difference(decode(encode_jpeg(ink, {JCS_CMYK, JCS_CMYK, false, true})), inverted), 3);
  EXPECT_LE(largest_difference(decode(encode_jpeg(ink, {JCS_CMYK, JCS_YCCK, false, true})), inverted), 3);
  EXPECT_LE(largest_difference(decode(encode_jpeg(ink, {JCS_CMYK, JCS_CMYK, false, false})), plain), 3);
}

// Small files of every decoder, whose last byte is needed.
std::vector<std::pair<const char*, std::string>> small_files() {
  const Image rgb = gradient(9, 7, 3);
  return {
      {"jpeg", encode_jpeg(rgb)},
      {"jpeg progressive", encode_jpeg(rgb, {JCS_RGB, JCS_YCbCr, true, false})},
      {"png", encode_png(9, 7, rgb.pixels)},
      {"png interlaced", encode_png(9, 7, rgb.pixels, {PNG_COLOR_TYPE_RGB, 8, true, {}})},
      {"webp lossy", encode_webp(rgb, false)},
      {"webp lossless", encode_webp(rgb, true)},
      {"bmp 24", bmp(2, 1, 24, 0, "", text_of({3, 2, 1, 6, 5, 4, 0, 0}))},
      {"bmp 8", bmp(2, 1, 8, 0, text_of({3, 2, 1, 0, 6, 5, 4, 0}), text_of({1, 0, 0, 0}), 2)},
      {"bmp masks", bmp(1, 1, 32, 3, little(0xff, 4) + little(0xff00, 4) + little(0xff0000, 4), "abcd")},
      {"pgm", "P5 2 2 255 abcd"},
      {"ppm", "P6 1 1 255 abc"},
      {"pgm plain", "P2 3 1 9 1 2 3"},
      {"ppm plain", "P3 1 1 9 1 2 3"},
  };
}

TEST(DecodeImage, RefusesEveryTruncation) {
  for (const auto& [what, bytes] : small_files()) {
    EXPECT_NO_THROW(decode(bytes)) << what;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THROW(decode(bytes.substr(0, size)), Error)
          << what << " cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(DecodeImage, SurvivesEveryDamagedByte) {
  int errors = 0;
  for (const auto& [what, bytes] : small_files()) {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (int flip : {0x01, 0x80, 0xff}) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ flip);
        try {
          const Image image = decode_image(std::as_bytes(std::span(damaged)), what, 1 << 20);
          ASSERT_EQ(image.pixels.size(), std::size_t{1} * image.width * image.height * image.channels)
              << what;
        } catch (const Error&) {
          ++errors;
        }
      }
    }
  }
  EXPECT_GT(errors, 1000);
}

TEST(DecodeImage, SaysWhatIsWrongAndWhatToDo) {
  const struct {
    std::string bytes;
    const char* says;
  } kRows[] = {
      {"", "empty"},
      {"hello, world", "not a JPEG, PNG"},
      {"GIF89a...........", "convert"},
      {"P4 8 1 x", "P4 is not supported: convert"},
      {"P5 0 1 255 x", "size is 0 x 1"},
      {"P5 1 1 0 x", "maximum is 0"},
      {"P5 1 1 65536 xx", "above 65535"},
      {"P5 1 1 9 x", "above the maximum 9"},
      {"P5 x", "not a number"},
      {"P2 1 1 9 -1", "not a number"},
      {"P5 99999 99999 255 x", "too short"},
      {"P6 99999999999 9 255 x", "above"},
      {bmp(2, 1, 8, 1, black_and_white(), "xxxx", 2), "RLE"},
      {bmp(2, 1, 8, 0, black_and_white(), text_of({9, 0, 0, 0}), 2), "outside its palette"},
      {bmp(0, 1, 24, 0, "", ""), "size is 0 x 1"},
      {bmp(1 << 30, 1 << 30, 32, 0, "", "abcd"), "0 of 1073741824 rows"},
      {bmp(1, 1, 5, 0, "", "abcd"), "5 bits"},
      {encode_jpeg(gradient(9, 7, 3)).substr(0, 300), "truncated or corrupt"},
      {encode_png(1, 1, {1, 2, 3}).substr(0, 50), "ends too early"},
  };
  for (const auto& row : kRows) {
    EXPECT_THAT(error_of(row.bytes), AllOf(HasSubstr("image 'test.img'"), HasSubstr(row.says)));
  }
}

TEST(DecodeImage, HoldsToThePixelLimit) {
  for (const auto& [what, bytes] : small_files()) {
    EXPECT_THROW(decode_image(std::as_bytes(std::span(bytes)), what, 0), Error) << what;
  }
  const std::string png = encode_png(9, 7, gradient(9, 7, 3).pixels);
  EXPECT_NO_THROW(decode_image(std::as_bytes(std::span(png)), "png", 63));
  EXPECT_THROW(decode_image(std::as_bytes(std::span(png)), "png", 62), Error);
}

TEST(ReadImage, NamesTheFile) {
  try {
    read_image("/nonexistent/x.png");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/x.png"));
  }
}

TEST(HasImageExtension, IgnoresCase) {
  for (const char* name : {"a.jpg", "a.JPEG", "x/y.Png", "a.pgm", "a.ppm", "a.pnm", "a.bmp", "a.WEBP"}) {
    EXPECT_TRUE(has_image_extension(name)) << name;
  }
  for (const char* name : {"a.txt", "jpg", "README", "a.jpg.txt", ""})
    EXPECT_FALSE(has_image_extension(name)) << name;
}

TEST(Image, PngHoldsTheSamePixels) {
  for (const int channels : {1, 3}) {
    Image image{5, 3, channels, {}};
    for (int i = 0; i < 15 * channels; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i * 17));
    const std::string bytes = to_png(image);
    EXPECT_EQ(decode_image(std::as_bytes(std::span(bytes)), "x"), image);
  }
  EXPECT_THROW(to_png(Image{}), Error);
}

}  // namespace
}  // namespace eke
