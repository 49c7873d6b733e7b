// Whose arithmetic a quantized network is made for and judged by: that of the integer engine here, or that of what the
// export runs on. What holds for it is said once, for post-training quantization and quantization-aware training alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "quant/rewrite.h"
#include "target/simulate.h"
#include "target/version.h"

namespace eke {

enum class Device : std::uint8_t { cpu, tensorrt, dla_orin };
std::string_view to_string(Device device) noexcept;
std::optional<Device> parse_device(std::string_view name) noexcept;  // "cpu", "tensorrt", "dla-orin"

struct Arithmetic {
  Device device = Device::cpu;
  TensorRtVersion version = kDefaultTensorRt;
};
std::string to_string(const Arithmetic& arithmetic);  // "dla-orin of TensorRT 10.3"

// `options` with what the device requires, so that the export of `graph`, quantized under them, changes nothing: symmetric
// int8; where Q/DQ nodes are exported no rounding between a convolution and the addition that it is fused with; for the DLA
// one scale for what it adds or joins; and for a calibration cache weights as the DLA's builder quantizes them. `graph` is the float one, all types known.
RewriteOptions quantize_options(const Arithmetic& arithmetic, const Graph& graph, RewriteOptions options);

// What `graph`, with Q/DQ nodes and all types known, computes there. Throws as simulate_gpu and simulate_dla do.
Simulated simulate(const Graph& graph, const Arithmetic& arithmetic);

}  // namespace eke
