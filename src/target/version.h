// The versions of TensorRT whose rules are known, and devices with a Deep Learning Accelerator (DLA).
#pragma once

#include <compare>
#include <span>
#include <string>
#include <string_view>

namespace eke {

struct TensorRtVersion {
  int major = 0, minor = 0;
  int patch = 0;  // decides no rule, but stands in the header of calibration caches
  friend auto operator<=>(const TensorRtVersion&, const TensorRtVersion&) = default;
};

std::string to_string(const TensorRtVersion& version);  // "8.6", without the patch

// Oldest first, with the patches of JetPack 5.1, 6.0, 6.1, DRIVE and JetPack 7.2.
std::span<const TensorRtVersion> known_tensorrt_versions() noexcept;
inline constexpr TensorRtVersion kDefaultTensorRt{10, 3, 0};  // of JetPack 6.1 and 6.2

// "8.6.2", or "8.6" for the patch that JetPack has. Throws UsageError for a version whose rules are not known,
// with the nearest one that is: the user decides.
TensorRtVersion parse_tensorrt_version(std::string_view text);

// From 11.0 on networks are strongly typed: no calibration caches, no precision flags, Q/DQ nodes decide.
constexpr bool is_strongly_typed(const TensorRtVersion& version) noexcept { return version.major >= 11; }

}  // namespace eke
