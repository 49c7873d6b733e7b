// What a network makes of the calibration images, one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ptq/calibration_images.h"
#include "runtime/plan.h"

namespace eke {

// Runs the first `limit` images (0: all) in order; `take` gets the first output of each as floats, and the image's name.
// `graph` has all shapes bound. The images hear of it as part of a larger piece.
using TakeOutput = std::function<void(std::vector<float> output, const std::string& image)>;
void each_output(const Graph& graph, CalibrationImages& images, std::int64_t limit, const Threads& threads,
                 const TakeOutput& take, Floats floats = Floats::f32);

}  // namespace eke
