#include "target/calibration_cache.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "base/error.h"

namespace eke {
namespace {

CacheEntry parse_entry(std::string_view line) {
  const std::size_t cut = line.rfind(':');
  check(cut != std::string_view::npos && cut > 0, "'{}' is no line of the form 'tensor: 3c010a14'", line);
  std::string_view digits = line.substr(cut + 1);
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  std::uint32_t bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
  check(error == std::errc() && end == digits.data() + digits.size(),
        "'{}': '{}' is no hexadecimal number of 32 bits", line, digits);
  const float scale = std::bit_cast<float>(bits);
  check(std::isfinite(scale) && scale >= 0, "'{}': the scale is {}", line, scale);
  return {std::string(line.substr(0, cut)), scale};
}

}  // namespace

std::string cache_header(const TensorRtVersion& version) {
  const int number =
      version.major * (version.major < 10 ? 1000 : 10000) + version.minor * 100 + version.patch;
  return fmt::format("TRT-{}-EntropyCalibration2", number);
}

std::string to_text(const CalibrationCache& cache) {
  std::string text = cache.header + "\n";
  for (const CacheEntry& entry : cache.entries)
    text += fmt::format("{}: {:x}\n", entry.tensor, std::bit_cast<std::uint32_t>(entry.scale));
  return text;
}

CalibrationCache parse_calibration_cache(std::string_view text) {
  CalibrationCache cache;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    with_context([&] { return fmt::format("line {}", number); },
                 [&] {
                   if (number > 1) return cache.entries.push_back(parse_entry(line));
                   check(line.starts_with("TRT-"),
                         "'{}' is no header of a calibration cache, as TRT-8602-EntropyCalibration2",
                         line.substr(0, 80));
                   cache.header = line;
                 });
  }
  check(!cache.header.empty(), "the calibration cache is empty");
  return cache;
}

}  // namespace eke
