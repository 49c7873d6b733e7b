#include "target/dla_limits.h"

#include <array>

namespace eke {
namespace {

constexpr double kNoBound = std::numeric_limits<double>::infinity();

// Sources:
constexpr std::string_view kHeader = "NvInfer.h of TensorRT 8.5.1, 8.6.1, 10.7.0 and 11.1, which agree";
constexpr std::string_view kGuide = "TensorRT developer guide 8.4, restrictions of DLA layers";
constexpr std::string_view kGuide85 = "TensorRT developer guide 8.5, restrictions of DLA layers";
constexpr std::string_view kDocs = "TensorRT documentation, \"DLA Supported Layers and Restrictions\"";
constexpr std::string_view kTable = "NVIDIA Deep-Learning-Accelerator-SW, table of ONNX operators";
constexpr std::string_view kLog = "warning of the builder, TensorRT 8 and 10";

constexpr VersionRange kFrom10{{10, 0}}, kFrom11{{11, 0}};

using enum DlaLayer;
// Quantities that say yes or no have the limit 0 to 0 (must not be) or 1 to 1 (must be).
constexpr std::array kLimits = {
    DlaLimit{any, "batch", 1, 4096, kGuide},
    DlaLimit{any, "extent", 1, 8192, kHeader},

    DlaLimit{convolution, "spatial axes", 2, 2, kGuide},
    DlaLimit{convolution, "kernel", 1, 32, kHeader},
    DlaLimit{convolution, "padding", 0, 31, kHeader},
    DlaLimit{convolution, "padding less kernel", -kNoBound, -1, kGuide},
    DlaLimit{convolution, "stride", 1, 8, kHeader},
    DlaLimit{convolution, "dilation", 1, 32, kHeader},
    DlaLimit{convolution, "output maps", 1, 8192, kHeader},
    DlaLimit{convolution, "groups", 1, 8192, kHeader},
    DlaLimit{convolution, "constant weights", 1, 1, kTable},
    DlaLimit{convolution, "CBUF banks", 0, 16, kGuide},

    DlaLimit{deconvolution, "spatial axes", 2, 2, kGuide},
    DlaLimit{deconvolution, "kernel", 1, 32, kHeader},
    DlaLimit{deconvolution, "stride", 1, 32, kHeader},
    DlaLimit{deconvolution, "stride of a square kernel", 1, 22, kGuide},
    DlaLimit{deconvolution, "padding", 0, 0, kHeader},
    DlaLimit{deconvolution, "groups", 1, 1, kHeader},
    DlaLimit{deconvolution, "dilation", 1, 1, kHeader},
    DlaLimit{deconvolution, "input channels", 1, 8192, kHeader},
    DlaLimit{deconvolution, "output maps", 1, 8192, kHeader},
    DlaLimit{deconvolution, "constant weights", 1, 1, kTable},

    DlaLimit{pooling, "spatial axes", 2, 2, kGuide},
    DlaLimit{pooling, "window", 1, 8, kHeader},
    DlaLimit{pooling, "padding", 0, 7, kHeader},
    DlaLimit{pooling, "stride", 1, 16, kHeader},
    DlaLimit{pooling, "dilation", 1, 1, kHeader},

    DlaLimit{activation, "lower bound of Clip", 0, 0, kGuide},
    DlaLimit{activation, "upper bound of Clip", 1, 127, kGuide},
    DlaLimit{prelu, "constant slope", 1, 1, kGuide},

    DlaLimit{elementwise, "broadcast other than NC11 and N111", 0, 0, kGuide85},
    DlaLimit{elementwise, "constant operand", 0, 0, kLog},
    DlaLimit{scale, "constant other than one a tensor, channel or element", 0, 0, kGuide},
    DlaLimit{scale, "constant parameters", 1, 1, kGuide},

    DlaLimit{lrn, "size", 3, 9, kHeader},
    DlaLimit{lrn, "even size", 0, 0, kHeader},

    DlaLimit{concatenation, "axis from the end", 3, 3, kGuide},
    DlaLimit{concatenation, "inputs", 2, kNoBound, kGuide},

    DlaLimit{resize, "rank", 4, 4, kGuide},
    DlaLimit{resize, "scale of batch or channels", 1, 1, kGuide},
    DlaLimit{resize, "fraction of a scale", 0, 0, kGuide},
    DlaLimit{resize, "scale, nearest", 1, 32, kGuide},
    DlaLimit{resize, "scale, bilinear", 1, 4, kGuide},
    DlaLimit{resize, "mode other than the documented ones", 0, 0, kGuide},

    DlaLimit{softmax, "axis over batch", 0, 0, kDocs},
    DlaLimit{softmax, "extent of the only axis", 1, 8192, kDocs},
    DlaLimit{softmax, "extent of the axis", 1, 1024, kDocs},

    DlaLimit{slice, "rank", 4, 4, kGuide},
    DlaLimit{slice, "step", 1, 1, kGuide},
    DlaLimit{slice, "cuts the batch", 0, 0, kGuide},
    DlaLimit{slice, "constant parameters", 1, 1, kGuide},

    DlaLimit{shuffle, "constant parameters", 1, 1, kGuide},
    DlaLimit{shuffle, "moves the batch", 0, 0, kGuide},
    DlaLimit{shuffle, "reshape next to a Slice or Concat", 0, 0, kLog},
};

constexpr DlaSupport kNative = DlaSupport::native, kFolded = DlaSupport::folded, kNone = DlaSupport::none;

constexpr std::string_view kAsPools =
    "an AveragePool with a window of at most 8, a chain of them, or a depthwise convolution (eke fit)";
constexpr std::string_view kAsClip = "Add, Clip and Mul, which are exact (eke fit)";
constexpr std::string_view kAsConv = "a convolution in place of the matrix product behind it (eke fit)";
constexpr std::string_view kAsOwnPad = "the padding of a convolution (eke fit)";
constexpr std::string_view kOnHost = "on the host, behind the network (eke fit --cut)";
constexpr std::string_view kAsRelu = "Relu or another activation that the DLA has, with some training";

constexpr std::array kOperators = {
    DlaOperator{"Conv", kNative, convolution, kTable,
                "zeros around the kernel, where padding is the reason (eke fit)"},
    DlaOperator{"Gemm", kNative, convolution, kTable, kAsConv},
    DlaOperator{"MatMul", kNative, convolution, kTable, kAsConv},
    DlaOperator{"ConvTranspose", kNative, deconvolution, kTable},
    DlaOperator{"MaxPool", kNative, pooling, kTable, "a chain of smaller windows (eke fit)"},
    DlaOperator{"AveragePool", kNative, pooling, kTable, kAsPools},
    DlaOperator{"GlobalMaxPool", kNative, reduce, "DLA software 3.13 with TensorRT 8.6.12", "MaxPool",
                kFrom10},
    DlaOperator{"ReduceMax", kNative, reduce, "DLA software 3.13 with TensorRT 8.6.12", "MaxPool", kFrom10},
    DlaOperator{"GlobalAveragePool", kNone, any, kTable, kAsPools},
    DlaOperator{"ReduceMean", kNone, any, kTable, kAsPools},
    DlaOperator{"BatchNormalization", kNative, scale, kTable},
    DlaOperator{"Relu", kNative, activation, kTable},
    DlaOperator{"Sigmoid", kNative, activation, kTable},
    DlaOperator{"Tanh", kNative, activation, kTable},
    DlaOperator{"Clip", kNative, activation, kTable, kAsClip},
    DlaOperator{"LeakyRelu", kNative, activation, kTable},
    DlaOperator{"PRelu", kNative, prelu, kTable},
    // Written as Sigmoid and Mul.
    DlaOperator{"Swish", kNative, elementwise, kTable},
    DlaOperator{"Add", kNative, elementwise, kTable},
    DlaOperator{"Sum", kNative, elementwise, kTable},
    DlaOperator{"Sub", kNative, elementwise, kHeader, "Add of the negative constant (eke fit)"},
    DlaOperator{"Mul", kNative, elementwise, kTable},
    DlaOperator{"Max", kNative, elementwise, kTable},
    DlaOperator{"Min", kNative, elementwise, kHeader},
    DlaOperator{"Div", kNative, elementwise, "DLA software 3.13 with TensorRT 8.6.12",
                "Mul by the reciprocal of the constant (eke fit)", kFrom10},
    DlaOperator{"Pow", kNative, elementwise, kDocs, "", kFrom11},
    DlaOperator{"Equal", kNative, elementwise, kTable},
    DlaOperator{"Greater", kNative, elementwise, kDocs, "", kFrom10},
    DlaOperator{"Less", kNative, elementwise, kDocs, "", kFrom10},
    DlaOperator{"Abs", kNative, unary, kTable},
    DlaOperator{"Sin", kNative, unary, "TensorRT 8.6.12, table of operators", "", kFrom10},
    DlaOperator{"Cos", kNative, unary, "TensorRT 8.6.12, table of operators", "", kFrom10},
    DlaOperator{"Atanh", kNative, unary, "TensorRT 8.6.12, table of operators", "", kFrom10},
    DlaOperator{"Neg", kNone, any, kTable, "Mul by -1 (eke fit)"},
    DlaOperator{"LRN", kNative, lrn, kTable},
    DlaOperator{"Concat", kNative, concatenation, kTable},
    DlaOperator{"Resize", kNative, resize, kTable},
    DlaOperator{"Softmax", kNative, softmax, kTable, kOnHost},
    DlaOperator{"Slice", kNative, slice, kTable, "a depthwise convolution with the stride (eke fit)"},
    DlaOperator{"Split", kNative, slice, kGuide},
    DlaOperator{"Reshape", kNative, shuffle, kTable, kAsConv},
    DlaOperator{"Transpose", kNative, shuffle, kTable},
    DlaOperator{"Flatten", kNone, any, kTable, kAsConv},
    DlaOperator{"Squeeze", kNone, any, kTable, kAsConv},
    DlaOperator{"Unsqueeze", kNone, any, kTable, kAsConv},
    DlaOperator{"Pad", kNone, any, kTable, kAsOwnPad},
    DlaOperator{"HardSwish", kNone, any, kTable, kAsClip},
    DlaOperator{"HardSigmoid", kNone, any, kTable, "Mul, Add and Clip, which are exact (eke fit)"},
    DlaOperator{"Gelu", kNone, any, kTable, "x * Sigmoid(1.702 x), an approximation (eke fit --approximate)"},
    DlaOperator{"Elu", kNone, any, kTable, kAsRelu},
    DlaOperator{"Selu", kNone, any, kTable, kAsRelu},
    DlaOperator{"Celu", kNone, any, kTable, kAsRelu},
    DlaOperator{"Mish", kNone, any, kTable, kAsRelu},
    DlaOperator{"Softplus", kNone, any, kTable, kAsRelu},
    DlaOperator{"LpNormalization", kNone, any, kTable, kOnHost},
    DlaOperator{"ReduceL2", kNone, any, kTable, kOnHost},
    DlaOperator{"LogSoftmax", kNone, any, kTable, kOnHost},
    DlaOperator{"ArgMax", kNone, any, kTable, kOnHost},
    DlaOperator{"TopK", kNone, any, kTable, kOnHost},
    DlaOperator{"Identity", kFolded, any, kTable},
    DlaOperator{"Dropout", kFolded, any, kTable},
    DlaOperator{"QuantizeLinear", kFolded, any, kTable},
    DlaOperator{"DequantizeLinear", kFolded, any, kTable},
};

}  // namespace

std::string_view to_string(DlaLayer layer) noexcept {
  switch (layer) {
    case any:
      return "any layer";
    case convolution:
      return "convolution";
    case deconvolution:
      return "deconvolution";
    case pooling:
      return "pooling";
    case activation:
      return "activation";
    case prelu:
      return "parametric ReLU";
    case elementwise:
      return "elementwise";
    case scale:
      return "scale";
    case lrn:
      return "LRN";
    case concatenation:
      return "concatenation";
    case resize:
      return "resize";
    case softmax:
      return "softmax";
    case slice:
      return "slice";
    case unary:
      return "unary";
    case reduce:
      return "reduce";
    case shuffle:
      return "shuffle";
  }
  return "";
}

std::span<const DlaLimit> dla_limits() noexcept { return kLimits; }
std::span<const DlaOperator> dla_operators() noexcept { return kOperators; }

}  // namespace eke
