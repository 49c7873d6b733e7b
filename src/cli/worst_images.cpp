#include "cli/worst_images.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/resize.h"
#include "data/write_png.h"

namespace eke::cli {

namespace {

// RFC 4648.
std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t here = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < here ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i) text += i <= here ? kDigits[group >> (18 - 6 * i) & 63u] : '=';
  }
  return text;
}

std::string picture(const Image& image) {
  const int larger = std::max(image.width, image.height);
  if (larger <= kPictureSize) return "data:image/png;base64," + base64(to_png(image));
  const double scale = static_cast<double>(kPictureSize) / larger;
  const auto extent = [&](int pixels) { return std::max(1, static_cast<int>(std::lround(pixels * scale))); };
  return "data:image/png;base64," +
         base64(to_png(resize_bilinear(image, extent(image.width), extent(image.height))));
}

}  // namespace

Json worst_json(const Classification& result, const std::vector<float>& misses, const Dataset& data,
                int class_offset, std::size_t count) {
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < data.size(); ++i)
    if (!result.correct()[i]) wrong.push_back(i);
  std::ranges::stable_sort(wrong, std::ranges::greater(), [&](std::size_t i) { return misses[i]; });
  if (wrong.size() > count) wrong.resize(count);
  Json list = Json::array();
  for (const std::size_t i : wrong)
    list.push_back({{"image", data.samples()[i].id},
                    {"class", data.samples()[i].label},
                    {"predicted", result.predictions()[i] - class_offset},
                    {"by", misses[i]},
                    {"picture", picture(data.load(i))}});
  return list;
}

}  // namespace eke::cli
