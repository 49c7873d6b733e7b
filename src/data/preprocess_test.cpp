#include "data/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/resize.h"

namespace eke {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::vector<float> run(const Preprocess& how, const Image& image) {
  std::vector<float> out(how.count());
  preprocess(image, how, out.data());
  return out;
}

Preprocess small(int width, int height) {
  Preprocess how;
  how.width = width;
  how.height = height;
  return how;
}

const Image kTwoPixels{2, 1, 3, {10, 20, 30, 40, 50, 60}};

TEST(Preprocess, OrdersChannelsAndAxes) {
  Preprocess how = small(2, 1);
  EXPECT_THAT(run(how, kTwoPixels), ElementsAre(10, 40, 20, 50, 30, 60));
  how.order = ChannelOrder::bgr;
  EXPECT_THAT(run(how, kTwoPixels), ElementsAre(30, 60, 20, 50, 10, 40));
  how.layout = ImageLayout::nhwc;
  EXPECT_THAT(run(how, kTwoPixels), ElementsAre(30, 20, 10, 60, 50, 40));
  how.order = ChannelOrder::grey;
  EXPECT_THAT(run(how, kTwoPixels), ElementsAre(18, 48));
}

TEST(Preprocess, RepeatsGreyImagesForColourNetworks) {
  EXPECT_THAT(run(small(2, 1), {2, 1, 1, {7, 9}}), ElementsAre(7, 9, 7, 9, 7, 9));
}

TEST(Preprocess, NamedNormalizations) {
  const struct {
    const char* name;
    std::array<float, 3> expected;  // of the pixel (10, 20, 30)
  } kRows[] = {
      {"raw", {10, 20, 30}},
      {"unit", {10 / 255.0f, 20 / 255.0f, 30 / 255.0f}},
      {"tf", {-117.5f / 127.5f, -107.5f / 127.5f, -97.5f / 127.5f}},
      {"imagenet",
       {(10 / 255.0f - 0.485f) / 0.229f, (20 / 255.0f - 0.456f) / 0.224f, (30 / 255.0f - 0.406f) / 0.225f}},
      {"caffe", {30 - 104, 20 - 117, 10 - 123}},
  };
  for (const auto& row : kRows) {
    Preprocess how = small(1, 1);
    apply_normalization(how, row.name);
    const auto out = run(how, {1, 1, 3, {10, 20, 30}});
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(out[c], row.expected[c], 2e-6) << row.name;
  }
  EXPECT_EQ(normalizations().size(), std::size(kRows));
  Preprocess how;
  EXPECT_THAT(error_of([&] { apply_normalization(how, "x"); }),
              AllOf(HasSubstr("'x'"), HasSubstr("imagenet")));
}

TEST(Preprocess, UnitNormalizationEqualsTheNamedOne) {
  Preprocess named, given;
  apply_normalization(named, "imagenet");
  set_unit_normalization(given, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
  for (int c = 0; c < 3; ++c) {
    EXPECT_THAT(given.mean[c], FloatNear(named.mean[c], 1e-4f));
    EXPECT_THAT(given.scale[c], FloatNear(named.scale[c], 1e-4f));
  }
}

TEST(Preprocess, SquashIsPlainResize) {
  Preprocess how = small(5, 3);
  how.order = ChannelOrder::grey;
  const Image image{7, 9, 1, std::vector<std::uint8_t>(63, 100)};
  EXPECT_THAT(run(how, image), ::testing::Each(100.0f));
}

TEST(Preprocess, CropTakesTheCentreOfTheShorterSide) {
  // 16x8 to 4x4 with crop 0.5: resized to 16x8, of which the centre is columns 6..9, rows 2..5.
  Image image{16, 8, 1, {}};
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 16; ++x) image.pixels.push_back(static_cast<std::uint8_t>(y * 16 + x));
  }
  Preprocess how = small(4, 4);
  how.order = ChannelOrder::grey;
  how.fit = Fit::crop;
  how.crop = 0.5f;
  const auto out = run(how, image);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) EXPECT_EQ(out[y * 4 + x], (y + 2) * 16 + x + 6);
  }
}

TEST(Preprocess, LetterboxPads) {
  Preprocess how = small(4, 4);
  how.order = ChannelOrder::grey;
  how.fit = Fit::letterbox;
  how.pad = 3;
  const auto out = run(how, {8, 4, 1, std::vector<std::uint8_t>(32, 200)});
  EXPECT_THAT(out, ElementsAre(3, 3, 3, 3, 200, 200, 200, 200, 200, 200, 200, 200, 3, 3, 3, 3));
}

TEST(Preprocess, FitsImagesOfEveryShape) {
  for (Fit fit : {Fit::squash, Fit::crop, Fit::letterbox}) {
    for (auto [w, h] : {std::pair{1, 1}, {1, 50}, {50, 1}, {3, 7}, {224, 223}, {31, 32}}) {
      Preprocess how = small(13, 9);
      how.fit = fit;
      how.pad = 9;
      const Image image{w, h, 3, std::vector<std::uint8_t>(std::size_t{3} * w * h, 9)};
      EXPECT_THAT(run(how, image), ::testing::Each(9.0f)) << to_string(fit) << " " << w << "x" << h;
    }
  }
}

TEST(PreprocessJson, RoundTrips) {
  Preprocess how = small(320, 240);
  apply_normalization(how, "imagenet");
  how.order = ChannelOrder::bgr;
  how.fit = Fit::letterbox;
  how.crop = 0.9f;
  how.pad = 0;
  how.layout = ImageLayout::nhwc;
  EXPECT_EQ(preprocess_from_json(preprocess_to_json(how)), how);
  EXPECT_EQ(preprocess_from_json(preprocess_to_json({})), Preprocess{});
  EXPECT_THAT(preprocess_to_json(how), HasSubstr("\"mean\":[123.675,116.28,103.53]"));
}

TEST(PreprocessJson, FillsInDefaultsAndRepeatsSingleNumbers) {
  const Preprocess how =
      preprocess_from_json(R"({"width": 32, "height": 16, "mean": 127.5, "scale": [1, 2, 3]})");
  EXPECT_EQ(how.width, 32);
  EXPECT_EQ(how.height, 16);
  EXPECT_THAT(how.mean, ElementsAre(127.5f, 127.5f, 127.5f));
  EXPECT_THAT(how.scale, ElementsAre(1, 2, 3));
  EXPECT_EQ(how.fit, Fit::squash);
}

TEST(PreprocessJson, RefusesWhatItDoesNotUnderstand) {
  const struct {
    const char* text;
    std::vector<const char*> says;
  } kRows[] = {
      {"", {"not valid JSON"}},
      {"{", {"not valid JSON"}},
      {"[]", {"object"}},
      {"{}", {"'width' is missing"}},
      {R"({"width": 1})", {"'height' is missing"}},
      {"{\"width\": 1,\n \"height\": 1,\n \"hieght\": 2}", {"'hieght'", "line 3", "unknown"}},
      {"{\"width\": 1,\n \"height\": 1, \"width\": 2}", {"'width'", "twice"}},
      {R"({"width": 1.5, "height": 1})", {"'width'", "integer"}},
      {R"({"width": 99999999999999999999, "height": 1})", {"'width'"}},
      {R"({"width": 18446744073709551615, "height": 1})", {"'width'", "out of range"}},
      {R"({"width": 0, "height": 1})", {"size 0 x 1"}},
      {R"({"width": 20000, "height": 1})", {"16384"}},
      {R"({"width": 16384, "height": 16384})", {"pixels"}},
      {R"({"width": 1, "height": 1, "mean": "x"})", {"'mean'", "three"}},
      {R"({"width": 1, "height": 1, "mean": [1, 2]})", {"'mean'", "three"}},
      {R"({"width": 1, "height": 1, "scale": 0})", {"scale 0"}},
      {R"({"width": 1, "height": 1, "scale": 1e300})", {"'scale'", "out of range"}},
      {R"({"width": 1, "height": 1, "order": "gbr"})", {"'order'", "'gbr'", "rgb, bgr, grey"}},
      {R"({"width": 1, "height": 1, "fit": 3})", {"'fit'", "string"}},
      {R"({"width": 1, "height": 1, "crop": 1.5})", {"crop 1.5"}},
      {R"({"width": 1, "height": 1, "pad": 300})", {"pad 300"}},
      {R"({"width": [[[[[[[[[[[[1]]]]]]]]]]]], "height": 1})", {"nested"}},
  };
  for (const auto& row : kRows) {
    const std::string message = error_of([&] { preprocess_from_json(row.text); });
    for (const char* part : row.says) EXPECT_THAT(message, HasSubstr(part)) << row.text;
  }
}

TEST(LabelsJson, RoundTripsAndRefusesOtherThings) {
  const std::vector<std::string> labels = {"tench, Tinca tinca", "\"quoted\"", "\xc3\xa9", ""};
  EXPECT_EQ(labels_from_json(labels_to_json(labels)), labels);
  for (const char* text : {"{}", "[1]", "[\"a\"", "\"a\"", "[[\"a\"]]"}) {
    EXPECT_THAT(error_of([&] { labels_from_json(text); }), HasSubstr("labels")) << text;
  }
  EXPECT_NO_THROW(labels_from_json(labels_to_json(std::vector<std::string>{"\xff"})));
}

TEST(ParseTriple, AcceptsOneOrThreeNumbers) {
  EXPECT_THAT(parse_triple("--mean", "127.5"), ElementsAre(127.5f, 127.5f, 127.5f));
  EXPECT_THAT(parse_triple("--mean", "0.485,0.456,0.406"), ElementsAre(0.485f, 0.456f, 0.406f));
  EXPECT_THAT(parse_triple("--mean", "-1,0,1e2"), ElementsAre(-1, 0, 100));
  for (const char* text : {"", ",", "1,2", "1,2,3,4", "1,2,", "a", "1;2;3", "1,2,x", "nan", "inf"}) {
    EXPECT_THROW(parse_triple("--mean", text), UsageError) << text;
  }
}

TEST(ParseImageSize, AcceptsSquaresAndRectangles) {
  EXPECT_EQ(parse_image_size("224"), (std::pair{224, 224}));
  EXPECT_EQ(parse_image_size("320x240"), (std::pair{320, 240}));
  for (const char* text : {"", "x", "0", "-1", "3x", "x3", "3x4x5", "99999", "1.5"}) {
    EXPECT_THROW(parse_image_size(text), UsageError) << text;
  }
}

TEST(ParseNames, RoundTrip) {
  for (ChannelOrder order : {ChannelOrder::rgb, ChannelOrder::bgr, ChannelOrder::grey}) {
    EXPECT_EQ(parse_channel_order(to_string(order)), order);
  }
  for (Fit fit : {Fit::squash, Fit::crop, Fit::letterbox}) EXPECT_EQ(parse_fit(to_string(fit)), fit);
  for (ImageLayout layout : {ImageLayout::nchw, ImageLayout::nhwc})
    EXPECT_EQ(parse_layout(to_string(layout)), layout);
  EXPECT_THROW(parse_fit("stretch"), UsageError);
}

}  // namespace
}  // namespace eke
