#include "data/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace eke {
namespace {

using ::testing::HasSubstr;

Image gradient(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>(x * 8 + y + c * 40));
    }
  }
  return image;
}

Image mirrored(const Image& image) {
  Image out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        out.pixels[(y * image.width + x) * image.channels + c] =
            image.pixels[(y * image.width + image.width - 1 - x) * image.channels + c];
      }
    }
  }
  return out;
}

TEST(ParseAugmentation, NamesStrengthsAndRoundTrips) {
  const struct {
    const char* text;
    Augmentation expected;
    const char* printed;
  } kCases[] = {
      {"none", {}, "none"},
      {"flip", {.flip = true}, "flip"},
      {"crop,flip", {.crop = 0.25f, .flip = true}, "flip,crop=0.25"},
      {"rotation=15,colour=0.1", {.rotation = 15, .colour = 0.1f}, "rotation=15,colour=0.1"},
      {"erase=1,shift=0.125", {.shift = 0.125f, .erase = 1}, "shift=0.125,erase=1"},
  };
  for (const auto& c : kCases) {
    const Augmentation parsed = parse_augmentation(c.text);
    EXPECT_EQ(parsed, c.expected) << c.text;
    EXPECT_EQ(to_string(parsed), c.printed);
    EXPECT_EQ(parse_augmentation(to_string(parsed)), parsed);
  }
  for (const char* text : {"", "flop", "crop=", "crop=2", "rotation=-1", "flip,", "crop=nan", "flip=1"}) {
    EXPECT_THROW(parse_augmentation(text), UsageError) << text;
  }
  try {
    parse_augmentation("zoom");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("flip, crop=0.25"));
  }
}

TEST(Augmented, NothingAskedChangesNothing) {
  const Image image = gradient(13, 7, 3);
  EXPECT_FALSE(Augmentation{}.any());
  EXPECT_EQ(augmented(image, {}, Random(1)), image);
}

TEST(Augmented, FlipIsAnExactMirrorInHalfOfTheImages) {
  for (const int channels : {1, 3}) {
    const Image image = gradient(12, 5, channels), mirror = mirrored(image);
    int mirrors = 0;
    for (std::uint64_t i = 0; i < 400; ++i) {
      const Image out = augmented(image, {.flip = true}, Random(1, 0, i));
      ASSERT_TRUE(out == image || out == mirror);
      mirrors += out == mirror;
    }
    EXPECT_NEAR(mirrors, 200, 50);
  }
}

TEST(Augmented, EachKindKeepsTheSizeAndDependsOnThePositionAlone) {
  const Image image = gradient(24, 20, 3);
  for (const char* text :
       {"crop", "shift", "rotation", "colour", "erase=1", "crop,flip,rotation,colour,erase"}) {
    const Augmentation how = parse_augmentation(text);
    int changed = 0;
    for (std::uint64_t i = 0; i < 20; ++i) {
      const Image out = augmented(image, how, Random(5, 1, i));
      EXPECT_EQ(out.width, 24);
      EXPECT_EQ(out.height, 20);
      EXPECT_EQ(out.pixels.size(), image.pixels.size());
      EXPECT_EQ(out, augmented(image, how, Random(5, 1, i)));
      changed += out != image;
    }
    EXPECT_GE(changed, 18) << text;
  }
}

TEST(Augmented, ColoursOfAFlatGreyImageStayGrey) {
  Image image{4, 4, 3, std::vector<std::uint8_t>(48, 100)};
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Image out = augmented(image, {.colour = 0.5f}, Random(1, 0, i));
    const auto [least, most] = std::minmax_element(out.pixels.begin(), out.pixels.end());
    EXPECT_LE(*most - *least, 1);
    EXPECT_GE(*least, 49);
    EXPECT_LE(*most, 151);
  }
}

TEST(Augmented, TinyImagesWork) {
  const Image image = gradient(1, 1, 1);
  const Augmentation all = parse_augmentation("crop,flip,rotation,colour,shift,erase=1");
  for (std::uint64_t i = 0; i < 20; ++i) EXPECT_EQ(augmented(image, all, Random(1, 0, i)).pixels.size(), 1u);
}

}  // namespace
}  // namespace eke
