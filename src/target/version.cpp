#include "target/version.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::array kKnown = {TensorRtVersion{8, 5, 2}, TensorRtVersion{8, 6, 2}, TensorRtVersion{10, 3, 0},
                               TensorRtVersion{10, 7, 0}, TensorRtVersion{11, 4, 1}};
constexpr int kMaxNumber = 1000;

// The number at the front of the text, which goes; -1 where there is none.
int take_number(std::string_view& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return -1;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

int distance(const TensorRtVersion& a, const TensorRtVersion& b) {
  return 100 * std::abs(a.major - b.major) + std::abs(a.minor - b.minor);
}

}  // namespace

std::string to_string(const TensorRtVersion& version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

std::span<const TensorRtVersion> known_tensorrt_versions() noexcept { return kKnown; }

TensorRtVersion parse_tensorrt_version(std::string_view text) {
  std::string_view rest = text;
  int numbers[3] = {-1, -1, -1};
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && !rest.starts_with('.')) break;
    if (i > 0) rest.remove_prefix(1);
    numbers[i] = take_number(rest);
    if (numbers[i] < 0 || numbers[i] > kMaxNumber) numbers[0] = -1;
  }
  const bool patched = numbers[2] >= 0;
  const TensorRtVersion version{numbers[0], numbers[1], patched ? numbers[2] : 0};
  if (version.major < 0 || version.minor < 0 || !rest.empty())
    throw UsageError(fmt::format("TensorRT version '{}': the form is 10.3 or 10.3.0", text));
  std::string names;
  TensorRtVersion nearest = kKnown[0];
  for (const TensorRtVersion& known : kKnown) {
    if (known.major == version.major && known.minor == version.minor) return patched ? version : known;
    if (distance(known, version) < distance(nearest, version)) nearest = known;
    names += (names.empty() ? "" : ", ") + to_string(known);
  }
  throw UsageError(
      fmt::format("the rules of TensorRT {} are not known; those of {} are, and {} is the nearest: give it "
                  "if you want its rules",
                  text, names, to_string(nearest)));
}

}  // namespace eke
