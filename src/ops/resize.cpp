// Resize (and Upsample, its older name), DepthToSpace and SpaceToDepth.
//
// Resize interpolates axis by axis, the first axis outermost, taps in ascending order, in double, rounded
// once: rule 13 of docs/integer-semantics.md builds on that order. Its reference allocates its tables.
#include "ops/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/integer_product.h"
#include "ops/operands.h"
#include "ops/quantized.h"

namespace eke {
namespace {

// --- from attributes and operands to one plain description of each axis ------------------------------------

struct AxisSpec {
  std::int64_t in = 0, out = 0;
  double scale = 1;
  bool by_size = false;  // scale is exactly out / in
  double roi_begin = 0, roi_end = 1;

  // v / scale, exact where the extents are given.
  double unscaled(double v) const noexcept {
    return by_size ? v * static_cast<double>(in) / static_cast<double>(out) : v / scale;
  }
  double length() const noexcept {  // ONNX's length_resized, which need not be an integer
    return by_size ? static_cast<double>(out) : static_cast<double>(in) * scale;
  }
};

bool is_given(const TensorView& view) { return view && view.count() > 0; }

op::Ints resized_axes(const op::Resize& a, const Shape& x) {
  op::Ints axes;
  if (a.axes.empty())
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  std::array<bool, Shape::kMaxRank> seen{};
  for (std::int64_t axis : a.axes) {
    const int k = normalize_axis(axis, x.rank());
    check(!seen[static_cast<std::size_t>(k)], "axes names axis {} twice", k);
    seen[static_cast<std::size_t>(k)] = true;
    axes.push_back(k);
  }
  return axes;
}

void check_entries(const TensorView& view, std::size_t count, std::string_view name) {
  check(view.count() == static_cast<std::int64_t>(count), "{} has {} entries; {} are needed", name,
        view.count(), count);
}

constexpr double kMaxResized = static_cast<double>(std::int64_t{1} << 40);

void apply_scale(AxisSpec& spec, float scale) {
  check(std::isfinite(scale) && scale > 0, "scale {} is not a positive number", scale);
  // In float32, as ONNX's shape inference has it.
  const float extent = std::floor(static_cast<float>(spec.in) * scale);
  check(static_cast<double>(extent) <= kMaxResized, "scale {} makes an extent of {} too large", scale,
        spec.in);
  spec.scale = static_cast<double>(scale);
  spec.out = static_cast<std::int64_t>(extent);
}

void apply_sizes(const op::Resize& a, std::vector<AxisSpec>& specs, const op::Ints& axes,
                 const TensorView& sizes) {
  const bool stretch = a.keep_aspect_ratio_policy == "stretch",
             larger = a.keep_aspect_ratio_policy == "not_smaller";
  check(stretch || larger || a.keep_aspect_ratio_policy == "not_larger",
        "keep_aspect_ratio_policy is '{}'; stretch, not_larger or not_smaller are known",
        a.keep_aspect_ratio_policy);
  std::optional<double> common;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    AxisSpec& spec = specs[static_cast<std::size_t>(axes[i])];
    const std::int64_t size = element_as_int(sizes, static_cast<std::int64_t>(i));
    check(size >= 0 && static_cast<double>(size) <= kMaxResized, "sizes has an entry {}", size);
    check(spec.in > 0 || size == 0, "an axis without elements cannot become {} long", size);
    spec.out = size;
    spec.by_size = true;
    if (spec.in == 0) continue;
    spec.scale = static_cast<double>(size) / static_cast<double>(spec.in);
    if (!common) common = spec.scale;
    common = larger ? std::max(*common, spec.scale) : std::min(*common, spec.scale);
  }
  if (stretch || !common) return;
  for (std::int64_t axis : axes) {
    AxisSpec& spec = specs[static_cast<std::size_t>(axis)];
    spec.scale = *common;
    spec.by_size = false;
    const double extent = std::floor(*common * static_cast<double>(spec.in) + 0.5);
    check(extent <= kMaxResized, "scale {} makes an extent of {} too large", *common, spec.in);
    spec.out = static_cast<std::int64_t>(extent);
  }
}

std::vector<AxisSpec> specs_of(const op::Resize& a, const Shape& x, const TensorView& scales,
                               const TensorView& sizes) {
  check(is_given(scales) != is_given(sizes), "exactly one of scales and sizes must be given");
  const op::Ints axes = resized_axes(a, x);
  std::vector<AxisSpec> specs;
  for (std::int64_t extent : x) specs.push_back({.in = extent, .out = extent});
  check_entries(is_given(scales) ? scales : sizes, axes.size(), is_given(scales) ? "scales" : "sizes");
  if (is_given(sizes)) {
    apply_sizes(a, specs, axes, sizes);
  } else {
    for (std::size_t i = 0; i < axes.size(); ++i)
      apply_scale(specs[static_cast<std::size_t>(axes[i])],
                  static_cast<float>(element_as_double(scales, static_cast<std::int64_t>(i))));
  }
  for (const AxisSpec& spec : specs)
    check(spec.out >= 1 || spec.in == 0, "an extent of {} would become 0", spec.in);
  return specs;
}

// --- from an axis to its table -----------------------------------------------------------------------------

double original_coordinate(std::string_view mode, const AxisSpec& s, double x) {
  const auto in = static_cast<double>(s.in);
  const double length = s.length();
  if (mode == "align_corners") return length == 1 ? 0 : x * (in - 1) / (length - 1);
  if (mode == "asymmetric") return s.unscaled(x);
  if (mode == "tf_half_pixel_for_nn") return s.unscaled(x + 0.5);
  if (mode == "pytorch_half_pixel" && s.out <= 1) return 0;
  if (mode == "tf_crop_and_resize") {
    if (length == 1) return 0.5 * (s.roi_begin + s.roi_end) * (in - 1);
    return s.roi_begin * (in - 1) + x * (s.roi_end - s.roi_begin) * (in - 1) / (length - 1);
  }
  const double half_pixel = s.unscaled(x + 0.5) - 0.5;
  if (mode == "half_pixel_symmetric") return in / 2 * (1 - static_cast<double>(s.out) / length) + half_pixel;
  return half_pixel;
}

double nearest(std::string_view mode, double x) {
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  return std::ceil(x - 0.5);
}

double linear_filter(double x) { return std::max(1 - std::abs(x), 0.0); }

// Keys' cubic convolution.
double cubic_filter(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// The filter of linear and cubic interpolation, stretched for antialiasing when the image shrinks.
struct Filter {
  bool cubic = false, exclude_outside = false;
  double a = -0.75, stretch = 1;
  std::int64_t first = 0;  // tap t is at t + first from the element before the coordinate
  int taps = 2;

  double at(double x) const noexcept {
    return cubic ? cubic_filter(x * stretch, a) : linear_filter(x * stretch);
  }
};

Filter filter_of(const op::Resize& a, const AxisSpec& s) {
  Filter f{.cubic = a.mode == "cubic",
           .exclude_outside = a.exclude_outside != 0,
           .a = static_cast<double>(a.cubic_coeff_a)};
  if (a.antialias != 0) f.stretch = std::min(s.scale, 1.0);
  const double reach = std::floor((f.cubic ? -2 : -1) / f.stretch) + 1;
  constexpr double kMaxReach = 1 << 24;
  check(reach >= -kMaxReach, "scale {} is too small for antialiasing", s.scale);
  f.first = static_cast<std::int64_t>(reach);
  f.taps = static_cast<int>(2 - 2 * f.first);
  return f;
}

void add_filtered(ResizeAxis& axis, const Filter& f, double x) {
  const double before = std::ceil(x) - 1, ratio = x - before;
  const std::size_t begin = axis.weight.size();
  double sum = 0;
  for (int t = 0; t < f.taps; ++t) {
    const std::int64_t i = static_cast<std::int64_t>(before) + f.first + t;
    double weight = f.at(static_cast<double>(f.first + t) - ratio);
    if (f.exclude_outside && (i < 0 || i >= axis.in)) weight = 0;
    axis.index.push_back(std::clamp<std::int64_t>(i, 0, axis.in - 1));
    axis.weight.push_back(weight);
    sum += weight;
  }
  if ((f.stretch == 1 && !f.exclude_outside) || sum == 0) return;
  for (std::size_t i = begin; i < axis.weight.size(); ++i) axis.weight[i] /= sum;
}

ResizeAxis table_of(const op::Resize& a, const AxisSpec& s) {
  ResizeAxis axis;
  axis.in = s.in;
  axis.out = s.out;
  const bool crops = a.coordinate_transformation_mode == "tf_crop_and_resize";
  axis.identity =
      s.in == s.out && s.scale == 1 && !crops && a.coordinate_transformation_mode != "tf_half_pixel_for_nn";
  const bool copies = axis.identity || a.mode == "nearest";
  const Filter filter = copies ? Filter{} : filter_of(a, s);
  axis.taps = copies ? 1 : filter.taps;
  for (std::int64_t o = 0; o < s.out; ++o) {
    double x = axis.identity
                   ? static_cast<double>(o)
                   : original_coordinate(a.coordinate_transformation_mode, s, static_cast<double>(o));
    const auto last = static_cast<double>(s.in - 1);
    if (crops) {
      const bool outside = !(x >= 0 && x <= last);
      axis.outside.push_back(outside);
      if (outside) x = 0;
    }
    x = std::clamp(x, -kMaxResized, kMaxResized);
    if (copies) {
      axis.index.push_back(static_cast<std::int64_t>(std::clamp(nearest(a.nearest_mode, x), 0.0, last)));
      axis.weight.push_back(1);
    } else {
      add_filtered(axis, filter, x);
    }
  }
  return axis;
}

}  // namespace

Shape resize_shape(const op::Resize& a, const Shape& x, const TensorView& scales, const TensorView& sizes) {
  Shape out;
  for (const AxisSpec& spec : specs_of(a, x, scales, sizes)) out.push_back(spec.out);
  return out;
}

std::vector<ResizeAxis> resize_axes(const op::Resize& a, const Shape& x, const TensorView& roi,
                                    const TensorView& scales, const TensorView& sizes) {
  std::vector<AxisSpec> specs = specs_of(a, x, scales, sizes);
  if (a.coordinate_transformation_mode == "tf_crop_and_resize") {
    const op::Ints axes = resized_axes(a, x);
    const auto n = static_cast<std::int64_t>(axes.size());
    for (std::int64_t i = 0; i < n; ++i) {
      AxisSpec& spec = specs[static_cast<std::size_t>(axes[static_cast<std::size_t>(i)])];
      spec.roi_begin = element_as_double(roi, i);
      spec.roi_end = element_as_double(roi, i + n);
    }
  }
  std::vector<ResizeAxis> tables;
  for (const AxisSpec& spec : specs) tables.push_back(table_of(a, spec));
  return tables;
}

namespace {

// --- Resize ------------------------------------------------------------------------------------------------

// Upsample, and Resize before opset 11, have inputs X and scales and sample by the element before the
// coordinate.
void upgrade_resize(OnnxNode& node, Graph& graph) {
  if (node.type == "Resize" && node.opset >= 11) return;
  node.type = "Resize";
  const ValueId x = node.in.empty() ? kNoValue : node.in[0];
  const ValueId scales = node.in.size() > 1 ? node.in[1] : kNoValue;
  node.in = {x, kNoValue, scales};
  if (const auto list = take_attribute<op::Floats>(node, "scales")) {
    const Shape shape{static_cast<std::int64_t>(list->size())};
    add_input(node, graph, 2, "scales", Tensor::from<float>(shape, std::span(*list)));
  }
  node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  node.attributes["nearest_mode"] = std::string("floor");
}

void check_known(std::string_view value, std::initializer_list<std::string_view> known,
                 std::string_view name) {
  check(std::find(known.begin(), known.end(), value) != known.end(), "{} '{}' is not known", name, value);
}

void check_attributes(const op::Resize& a) {
  check_known(a.mode, {"nearest", "linear", "cubic"}, "mode");
  check_known(a.nearest_mode, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, "nearest_mode");
  check_known(a.coordinate_transformation_mode,
              {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
               "tf_crop_and_resize", "tf_half_pixel_for_nn"},
              "coordinate_transformation_mode");
}

TensorView constant_operand(std::span<const Operand> in, std::size_t i, std::string_view name) {
  const Operand o = operand(in, i);
  if (!o) return {};
  check(o.constant != nullptr, "input {} ({}) decides the output's shape and must be a constant", i, name);
  check(o.type->shape.rank() <= 1, "input {} ({}) has shape {}; a list is needed", i, name,
        to_string(o.type->shape));
  return o.constant->view();
}

std::vector<Type> infer_resize(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::Resize>(op);
  check_inputs_at_most(in, 4);
  const Type& x = required(in, 0, "X");
  check_attributes(a);
  check(a.mode == "nearest" || is_float(x.dtype) || is_byte(x.dtype),
        "input is {}; mode {} needs floats or 8-bit "
        "integers",
        to_string(x), a.mode);
  const TensorView scales = constant_operand(in, 2, "scales"), sizes = constant_operand(in, 3, "sizes");
  check(!scales || is_float(scales.dtype()), "scales are {}; floats are needed",
        scales ? to_string(*scales.type) : "");
  check(!sizes || is_integer(sizes.dtype()), "sizes are {}; integers are needed",
        sizes ? to_string(*sizes.type) : "");
  const Shape out = resize_shape(a, x.shape, scales, sizes);
  if (a.coordinate_transformation_mode == "tf_crop_and_resize") {
    const Type& roi = required(in, 1, "roi");
    const auto axes = static_cast<std::int64_t>(resized_axes(a, x.shape).size());
    check(is_float(roi.dtype) && roi.shape.count() == 2 * axes, "roi is {}; {} floats are needed",
          to_string(roi), 2 * axes);
  }
  return {moved(x, out)};
}

// Walks over the output's elements.
class Sampler {
 public:
  Sampler(const std::vector<ResizeAxis>& axes, const TensorView& in, double zero_point)
      : axes_(axes), in_(in), zero_point_(zero_point), strides_(dense_strides(in.shape())) {}

  bool outside() const noexcept {
    for (std::size_t axis = 0; axis < axes_.size(); ++axis)
      if (!axes_[axis].outside.empty() && axes_[axis].outside[static_cast<std::size_t>(at_[axis])] != 0)
        return true;
    return false;
  }

  // The input element of an output that copies one.
  std::int64_t source() const noexcept {
    std::int64_t from = 0;
    for (std::size_t axis = 0; axis < axes_.size(); ++axis)
      from += axes_[axis].index[static_cast<std::size_t>(at_[axis])] * strides_[axis];
    return from;
  }

  double interpolated() const noexcept { return interpolated(0, 0); }

  void next() noexcept {
    for (std::size_t axis = axes_.size(); axis-- > 0;) {
      if (++at_[axis] < axes_[axis].out) return;
      at_[axis] = 0;
    }
  }

 private:
  double interpolated(std::size_t axis, std::int64_t offset) const noexcept {
    if (axis == axes_.size()) return element_as_double(in_, offset) - zero_point_;
    const ResizeAxis& a = axes_[axis];
    double sum = 0;
    for (std::int64_t k = at_[axis] * a.taps; k < (at_[axis] + 1) * a.taps; ++k) {
      const double weight = a.weight[static_cast<std::size_t>(k)];
      // A tap of weight 0 is not read: 0 times infinity is not 0.
      if (weight == 0) continue;
      sum += weight * interpolated(axis + 1, offset + a.index[static_cast<std::size_t>(k)] * strides_[axis]);
    }
    return sum;
  }

  const std::vector<ResizeAxis>& axes_;
  const TensorView in_;
  const double zero_point_;
  const Strides strides_;
  Strides at_{};  // index of the output element
};

// Stores a real value where no quantization is involved: integers round and saturate.
template <class T>
void store_plain(const MutTensorView& out, std::int64_t i, double v) noexcept {
  if constexpr (kIsFloat<T>)
    out.as<T>()[i] = static_cast<T>(v);
  else
    out.as<T>()[i] =
        static_cast<T>(quantized::sat(static_cast<float>(v), 0, quantized::bounds_of(out.dtype())));
}

// Moves elements of any type, quantized ones included.
template <class T>
void resize_nearest(const std::vector<ResizeAxis>& axes, const TensorView& in, const MutTensorView& out,
                    float extrapolation) {
  Sampler sampler(axes, in, 0);
  for (std::int64_t i = 0, count = out.count(); i < count; ++i, sampler.next()) {
    if (!sampler.outside())
      out.as<T>()[i] = in.as<T>()[sampler.source()];
    else if (out.type->quant)
      quantized::store_real(out, i, extrapolation);
    else
      store_plain<T>(out, i, static_cast<double>(extrapolation));
  }
}

// Rule 13.
void resize_quantized(const std::vector<ResizeAxis>& axes, const TensorView& in, const MutTensorView& out,
                      float extrapolation) {
  const quantized::Params x = quantized::params(*in.type), y = quantized::params(*out.type);
  const quantized::Bounds bounds = quantized::bounds_of(out.dtype());
  const auto k = static_cast<float>(static_cast<double>(x.scale) / static_cast<double>(y.scale));
  Sampler sampler(axes, in, x.zero_point);
  for (std::int64_t i = 0, count = out.count(); i < count; ++i, sampler.next()) {
    const float v =
        sampler.outside() ? extrapolation / y.scale : static_cast<float>(sampler.interpolated()) * k;
    quantized::store(out, i, quantized::sat(v, y.zero_point, bounds));
  }
}

template <class T>
void resize_filtered(const std::vector<ResizeAxis>& axes, const TensorView& in, const MutTensorView& out,
                     float extrapolation) {
  Sampler sampler(axes, in, 0);
  for (std::int64_t i = 0, count = out.count(); i < count; ++i, sampler.next())
    store_plain<T>(out, i, sampler.outside() ? static_cast<double>(extrapolation) : sampler.interpolated());
}

void eval_resize(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Resize>(op);
  if (out[0].count() == 0) return;  // whose other extents may be huge
  const auto axes = resize_axes(a, in[0].shape(), operand(in, 1), operand(in, 2), operand(in, 3));
  const float extrapolation = a.extrapolation_value;
  const bool requantizes = in[0].type->quant != out[0].type->quant;
  if (in[0].type->quant && (a.mode != "nearest" || requantizes))
    return resize_quantized(axes, in[0], out[0], extrapolation);
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (a.mode == "nearest") return resize_nearest<T>(axes, in[0], out[0], extrapolation);
    if constexpr (kIsFloat<T> || sizeof(T) == 1) resize_filtered<T>(axes, in[0], out[0], extrapolation);
  });
}

int resize_opset(const Op& op) {
  const auto& a = attributes<op::Resize>(op);
  if (a.coordinate_transformation_mode == "half_pixel_symmetric") return 19;
  return a.antialias != 0 || !a.axes.empty() || a.keep_aspect_ratio_policy != "stretch" ? 18 : 13;
}

// --- DepthToSpace and SpaceToDepth -------------------------------------------------------------------------

void check_block(const Shape& x, std::int64_t block) {
  check(x.rank() == 4, "input {} has rank {}; 4 is needed", to_string(x), x.rank());
  check(block >= 1 && block <= (1 << 15), "blocksize is {}; it must be from 1 to {}", block, 1 << 15);
}

std::vector<Type> infer_depth_to_space(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::DepthToSpace>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "input");
  const std::int64_t b = a.blocksize;
  check_block(x.shape, b);
  check_known(a.mode, {"DCR", "CRD"}, "mode");
  check(x.shape[1] % (b * b) == 0, "{} channels are not a multiple of blocksize {} squared", x.shape[1], b);
  return {moved(x, {x.shape[0], x.shape[1] / (b * b), x.shape[2] * b, x.shape[3] * b})};
}

std::vector<Type> infer_space_to_depth(const Op& op, std::span<const Operand> in) {
  const std::int64_t b = attributes<op::SpaceToDepth>(op).blocksize;
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "input");
  check_block(x.shape, b);
  check(x.shape[2] % b == 0 && x.shape[3] % b == 0, "extents {} and {} are not multiples of blocksize {}",
        x.shape[2], x.shape[3], b);
  return {moved(x, {x.shape[0], x.shape[1] * b * b, x.shape[2] / b, x.shape[3] / b})};
}

// Calls f(element of the deep tensor, element of the wide one) for each pair that holds the same value.
template <class F>
void for_blocks(const Shape& wide, std::int64_t b, bool channels_first, F&& f) {
  const std::int64_t channels = wide[1], height = wide[2] / b, width = wide[3] / b;
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < wide[0]; ++n)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t y = 0; y < wide[2]; ++y)
        for (std::int64_t x = 0; x < wide[3]; ++x, ++i) {
          const std::int64_t place = y % b * b + x % b;
          const std::int64_t channel = channels_first ? c * b * b + place : place * channels + c;
          f(((n * channels * b * b + channel) * height + y / b) * width + x / b, i);
        }
}

void eval_depth_to_space(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::DepthToSpace>(op);
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_blocks(out[0].shape(), a.blocksize, a.mode == "CRD",
               [&](std::int64_t deep, std::int64_t wide) { out[0].as<T>()[wide] = in[0].as<T>()[deep]; });
  });
}

void eval_space_to_depth(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_blocks(in[0].shape(), attributes<op::SpaceToDepth>(op).blocksize, false,
               [&](std::int64_t deep, std::int64_t wide) { out[0].as<T>()[deep] = in[0].as<T>()[wide]; });
  });
}

}  // namespace

std::vector<OpDef> resize_ops() {
  const QuantRule same_scale{.kind = QuantRule::Kind::same_scale};
  return {
      {.kind = op::Resize{},
       .onnx = {{"Resize", op::Resize{}, 13}, {"Upsample", op::Resize{}, 7}},
       .upgrade = upgrade_resize,
       .infer = infer_resize,
       .eval = eval_resize,
       .quant = same_scale,
       .opset = resize_opset,
       .shape_inputs = 1u << 2 | 1u << 3},
      {.kind = op::DepthToSpace{},
       .onnx = {{"DepthToSpace", op::DepthToSpace{}, 11}},
       .infer = infer_depth_to_space,
       .eval = eval_depth_to_space,
       .quant = same_scale},
      {.kind = op::SpaceToDepth{},
       .onnx = {{"SpaceToDepth", op::SpaceToDepth{}, 7}},
       .infer = infer_space_to_depth,
       .eval = eval_space_to_depth,
       .quant = same_scale},
  };
}

}  // namespace eke
