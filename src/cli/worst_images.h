// The images that a model got most wrong, with small pictures of them.
#pragma once

#include "cli/table.h"
#include "data/dataset.h"
#include "data/metrics.h"

namespace eke::cli {

// Those that are taken for another class by the most, first: {"image", "class", "predicted", "by", "picture"}. `misses`:
// how far the best score of each image is above that of its class, which is "by"; "picture" is a data URI, at most
// kPictureSize pixels wide and high.
Json worst_json(const Classification& result, const std::vector<float>& misses, const Dataset& data,
                int class_offset, std::size_t count);
inline constexpr int kPictureSize = 48;

}  // namespace eke::cli
