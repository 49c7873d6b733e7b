// TensorRT's calibration cache: a header with the version, then a line "<tensor>: <hexadecimal bits of a float>"
// a tensor; the float is its scale, the largest magnitude over 127. From TensorRT 11 on there is none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "target/version.h"

namespace eke {

struct CacheEntry {
  std::string tensor;
  float scale = 0;
  friend bool operator==(const CacheEntry&, const CacheEntry&) = default;
};

struct CalibrationCache {
  std::string header;  // "TRT-8602-EntropyCalibration2"
  std::vector<CacheEntry> entries;
};

// Of the calibrator that the DLA requires. The number is major * 1000 + minor * 100 + patch up to version 9,
// major * 10000 + minor * 100 + patch from 10 on.
std::string cache_header(const TensorRtVersion& version);

std::string to_text(const CalibrationCache& cache);

// Names may hold spaces, brackets and colons. Throws with the line that is not understood.
CalibrationCache parse_calibration_cache(std::string_view text);

}  // namespace eke
