// Gemm, MatMul and the integer matrix products.
//
// With a quantized first input Gemm and MatMul follow rules 3, 4 and 7 of docs/integer-semantics.md, with
// constant int8 weights of two axes; inference gives a float32 output, and lowering may replace that type by
// a quantized one.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "ops/broadcast.h"
#include "ops/cost.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/integer_product.h"
#include "ops/operands.h"
#include "ops/quantized.h"
#include "ops/scales.h"

namespace eke {
namespace {

bool is_product_type(DType d) {
  return is_float(d) || d == DType::i32 || d == DType::u32 || d == DType::i64 || d == DType::u64;
}

void check_product_types(std::span<const Operand> in) {
  const Type& a = *in[0].type;
  check(is_product_type(a.dtype), "the input is {}; floats or integers of at least 32 bits are needed",
        to_string(a));
  for (std::size_t i = 1; i < in.size(); ++i) {
    if (!in[i]) continue;
    check(in[i].type->dtype == a.dtype, "input {} is {}, but the first input is {}", i,
          to_string(*in[i].type), to_string(a));
    check(!in[i].type->quant, "input {} is quantized but the first input is not", i);
  }
}

// Sums of floats in double; of integers modulo 2^64, which equals any narrower wrapping.
template <class T>
using Sum = std::conditional_t<kIsFloat<T>, double, std::uint64_t>;

// --- Gemm --------------------------------------------------------------------------------------------------

// A [M,K] and B [K,N] after the transpositions: element (i, k) of A is at i * a_row + k * a_column.
struct GemmShape {
  std::int64_t m = 0, k = 0, n = 0, a_row = 0, a_column = 0, b_row = 0, b_column = 0;
};

GemmShape gemm_shape(const op::Gemm& gemm, const Shape& a, const Shape& b) {
  check(a.rank() == 2 && b.rank() == 2, "inputs {} and {} must have rank 2", to_string(a), to_string(b));
  const bool ta = gemm.transA != 0, tb = gemm.transB != 0;
  check(a[ta ? 0 : 1] == b[tb ? 1 : 0], "inner extents {} of {}{} and {} of {}{} differ", a[ta ? 0 : 1],
        to_string(a), ta ? " (transposed)" : "", b[tb ? 1 : 0], to_string(b), tb ? " (transposed)" : "");
  return {a[ta ? 1 : 0], a[ta ? 0 : 1], b[tb ? 0 : 1], ta ? 1 : a[1],
          ta ? a[1] : 1, tb ? 1 : b[1], tb ? b[1] : 1};
}

void check_quantized_bias(const Operand& bias, std::int64_t n) {
  if (!bias) return;
  const Type& type = *bias.type;
  check(type.dtype == DType::i32 || type.dtype == DType::f32, "bias is {}; int32 or float32 is needed",
        to_string(type));
  check(type.shape.count() == 1 || (type.shape.count() == n && type.shape[type.shape.rank() - 1] == n),
        "bias has shape {}; one entry for each of {} columns is needed", to_string(type.shape), n);
}

void check_quantized_gemm(const op::Gemm& gemm, std::span<const Operand> in, std::int64_t n) {
  check(gemm.alpha == 1 && gemm.beta == 1 && gemm.transA == 0,
        "alpha {}, beta {}, transA {}: a quantized Gemm needs 1, 1 and 0", gemm.alpha, gemm.beta,
        gemm.transA);
  check_quantized_input(*in[0].type, "the input");
  check_quantized_weights(*in[1].type, gemm.transB != 0 ? 0 : 1);
  check_quantized_bias(operand(in, 2), n);
}

std::vector<Type> infer_gemm(const Op& op, std::span<const Operand> in) {
  const auto& gemm = attributes<op::Gemm>(op);
  check_inputs_at_most(in, 3);
  const Type& a = required(in, 0, "A");
  const GemmShape s = gemm_shape(gemm, a.shape, required(in, 1, "B").shape);
  const Shape out{s.m, s.n};
  if (a.quant) {
    check_quantized_gemm(gemm, in, s.n);
    return {checked(DType::f32, out)};
  }
  check_product_types(in);
  check(is_float(a.dtype) || (gemm.alpha == 1 && gemm.beta == 1 && !gemm.clamp.active()),
        "alpha {} and beta {}: a Gemm of integers needs 1 and 1", gemm.alpha, gemm.beta);
  if (const Operand c = operand(in, 2))
    check(c.type->shape.rank() <= 2 && broadcast(c.type->shape, out) == out, "C {} does not broadcast to {}",
          to_string(c.type->shape), to_string(out));
  return {checked(a.dtype, out)};
}

template <class T>
void gemm(const op::Gemm& op, const GemmShape& s, std::span<const TensorView> in, const MutTensorView& out) {
  using S = Sum<T>;
  const T *a = in[0].as<T>(), *b = in[1].as<T>();
  const TensorView c = operand(in, 2);
  const Strides c_strides = c ? broadcast_strides(c.shape(), out.shape()) : Strides{};
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      S sum = 0;
      for (std::int64_t k = 0; k < s.k; ++k)
        sum +=
            static_cast<S>(a[i * s.a_row + k * s.a_column]) * static_cast<S>(b[k * s.b_row + j * s.b_column]);
      const S bias = c ? static_cast<S>(c.as<T>()[i * c_strides[0] + j * c_strides[1]]) : S{0};
      if constexpr (kIsFloat<T>) {
        const double y = static_cast<double>(op.alpha) * sum + (c ? static_cast<double>(op.beta) * bias : 0);
        out.as<T>()[i * s.n + j] = static_cast<T>(
            std::min(std::max(y, static_cast<double>(op.clamp.lo)), static_cast<double>(op.clamp.hi)));
      } else {
        out.as<T>()[i * s.n + j] = static_cast<T>(sum + bias);
      }
    }
}

template <class X, class W>
void quantized_gemm(const GemmShape& s, const IntegerProduct& product, const X* x, const W* w) {
  const std::int32_t zx = quantized::params(*product.x.type).zero_point;
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      auto sum = static_cast<std::uint32_t>(product.bias_of(j));
      for (std::int64_t k = 0; k < s.k; ++k)
        sum += static_cast<std::uint32_t>(x[i * s.a_row + k * s.a_column] - zx) *
               static_cast<std::uint32_t>(w[k * s.b_row + j * s.b_column]);
      product.store(i * s.n + j, j, static_cast<std::int32_t>(sum));
    }
}

void quantized_gemm(const GemmShape& s, const IntegerProduct& product) {
  visit_product(product.x, product.w,
                [&](const auto* x, const auto* w) { quantized_gemm(s, product, x, w); });
}

void eval_gemm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Gemm>(op);
  const GemmShape s = gemm_shape(a, in[0].shape(), in[1].shape());
  if (in[0].type->quant)
    return quantized_gemm(s, {.x = in[0],
                              .w = in[1],
                              .bias = operand(in, 2),
                              .slope = {},
                              .residual = {},
                              .out = out[0],
                              .clamp = a.clamp});
  visit_dtype(in[0].dtype(), [&](auto tag) { gemm<typename decltype(tag)::type>(a, s, in, out[0]); });
}

Cost gemm_cost(const Op& op, std::span<const Type> in, std::span<const Type> out) {
  const Shape& a = in[0].shape;
  return cost_with(out[0].shape.count() * a[attributes<op::Gemm>(op).transA != 0 ? 0 : 1], in, out);
}

// --- MatMul ------------------------------------------------------------------------------------------------

// Numpy's matmul: vectors get an axis of extent 1, which the output loses again; leading axes broadcast.
struct MatMulShape {
  Shape batch, a_batch, b_batch, out;
  std::int64_t m = 1, k = 0, n = 1;
};

MatMulShape matmul_shape(const Shape& a, const Shape& b) {
  check(a.rank() >= 1 && b.rank() >= 1, "inputs {} and {} must have at least rank 1", to_string(a),
        to_string(b));
  const int ra = a.rank(), rb = b.rank();
  MatMulShape s;
  s.k = a[ra - 1];
  check(b[std::max(rb - 2, 0)] == s.k, "inner extents of {} and {} differ: {} and {}", to_string(a),
        to_string(b), s.k, b[std::max(rb - 2, 0)]);
  s.a_batch = Shape(a.dims().first(static_cast<std::size_t>(std::max(ra - 2, 0))));
  s.b_batch = Shape(b.dims().first(static_cast<std::size_t>(std::max(rb - 2, 0))));
  s.batch = broadcast(s.a_batch, s.b_batch);
  s.out = s.batch;
  if (ra >= 2) s.out.push_back(s.m = a[ra - 2]);
  if (rb >= 2) s.out.push_back(s.n = b[rb - 1]);
  return s;
}

// Calls store(output element, column, sum of product(a element, b element)).
template <class S, class Product, class Store>
void multiply(const MatMulShape& s, Product&& product, Store&& store) {
  const std::array<Strides, 2> strides{broadcast_strides(s.a_batch, s.batch),
                                       broadcast_strides(s.b_batch, s.batch)};
  for_each_offset(s.batch, strides, [&](std::int64_t batch, const auto& matrix) {
    const std::int64_t a = matrix[0] * s.m * s.k, b = matrix[1] * s.k * s.n;
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t j = 0; j < s.n; ++j) {
        S sum = 0;
        for (std::int64_t k = 0; k < s.k; ++k) sum += product(a + i * s.k + k, b + k * s.n + j);
        store((batch * s.m + i) * s.n + j, j, sum);
      }
  });
}

std::vector<Type> infer_matmul(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 2);
  const Type &a = required(in, 0, "A"), &b = required(in, 1, "B");
  const MatMulShape s = matmul_shape(a.shape, b.shape);
  if (a.quant) {
    check_quantized_input(a, "the input");
    check(b.shape.rank() == 2, "weights {} of a quantized MatMul must have rank 2", to_string(b.shape));
    check_quantized_weights(b, 1);
    return {checked(DType::f32, s.out)};
  }
  check_product_types(in);
  return {checked(a.dtype, s.out)};
}

void eval_matmul(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const MatMulShape s = matmul_shape(in[0].shape(), in[1].shape());
  if (in[0].type->quant) {
    const std::int64_t rows = s.batch.count() * s.m;
    return quantized_gemm(
        {.m = rows, .k = s.k, .n = s.n, .a_row = s.k, .a_column = 1, .b_row = s.n, .b_column = 1},
        {.x = in[0], .w = in[1], .bias = {}, .slope = {}, .residual = {}, .out = out[0]});
  }
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = Sum<T>;
    multiply<S>(
        s,
        [&](std::int64_t a, std::int64_t b) {
          return static_cast<S>(in[0].as<T>()[a]) * static_cast<S>(in[1].as<T>()[b]);
        },
        [&](std::int64_t i, std::int64_t, S sum) { out[0].as<T>()[i] = static_cast<T>(sum); });
  });
}

Cost product_cost(std::span<const Type> in, std::span<const Type> out) {
  const Shape& a = in[0].shape;
  return cost_with(out[0].shape.count() * a[a.rank() - 1], in, out);
}

Cost matmul_cost(const Op&, std::span<const Type> in, std::span<const Type> out) {
  return product_cost(in, out);
}

// --- MatMulInteger and QLinearMatMul -----------------------------------------------------------------------

// One parameter for the matrices, or one for each row of A (column of B).
void check_lanes(const Type& parameter, std::int64_t lanes, std::string_view name) {
  const Shape& shape = parameter.shape;
  check(shape.count() == 1 || (shape.rank() == 1 && shape[0] == lanes),
        "{} has shape {}; one entry or {} are needed", name, to_string(shape), lanes);
}

void check_zero_point(const Operand& zero_point, const Type& of, std::int64_t lanes, std::string_view name) {
  if (!zero_point) return;
  check(zero_point.type->dtype == of.dtype, "{} is {}, but belongs to {}", name, to_string(*zero_point.type),
        to_string(of));
  check_lanes(*zero_point.type, lanes, name);
}

std::int32_t lane(const TensorView& zero_point, std::int64_t i) noexcept {
  return zero_point ? quantized::load(zero_point, zero_point.count() == 1 ? 0 : i) : 0;
}

// Calls store(output element, accumulator).
template <class Store>
void integer_matmul(const MatMulShape& s, const TensorView& a, const TensorView& b, const TensorView& za,
                    const TensorView& zb, Store&& store) {
  multiply<std::uint32_t>(
      s,
      [&](std::int64_t i, std::int64_t k) {
        return static_cast<std::uint32_t>(quantized::load(a, i) - lane(za, i / s.k % s.m)) *
               static_cast<std::uint32_t>(quantized::load(b, k) - lane(zb, k % s.n));
      },
      store);
}

void check_bytes(const Type& a, const Type& b) {
  check(is_byte(a.dtype) && is_byte(b.dtype), "inputs {} and {} must be uint8 or int8", to_string(a),
        to_string(b));
}

std::vector<Type> infer_matmul_integer(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 4);
  const Type &a = required(in, 0, "A"), &b = required(in, 1, "B");
  check_bytes(a, b);
  const MatMulShape s = matmul_shape(a.shape, b.shape);
  check_zero_point(operand(in, 2), a, s.m, "a_zero_point");
  check_zero_point(operand(in, 3), b, s.n, "b_zero_point");
  return {checked(DType::i32, s.out)};
}

void eval_matmul_integer(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const MatMulShape s = matmul_shape(in[0].shape(), in[1].shape());
  integer_matmul(s, in[0], in[1], operand(in, 2), operand(in, 3),
                 [&](std::int64_t i, std::int64_t, std::uint32_t sum) {
                   out[0].as<std::int32_t>()[i] = static_cast<std::int32_t>(sum);
                 });
}

void check_scale(const Type& scale, std::int64_t lanes, std::string_view name) {
  check(scale.dtype == DType::f32, "{} is {}; float32 is needed", name, to_string(scale));
  check_lanes(scale, lanes, name);
}

std::vector<Type> infer_qlinear_matmul(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 8);
  const Type &a = required(in, 0, "a"), &b = required(in, 3, "b"), &y_zero = required(in, 7, "y_zero_point");
  check_bytes(a, b);
  const MatMulShape s = matmul_shape(a.shape, b.shape);
  check_scale(required(in, 1, "a_scale"), s.m, "a_scale");
  check_scale(required(in, 4, "b_scale"), s.n, "b_scale");
  check_scale(required(in, 6, "y_scale"), 1, "y_scale");
  check_scale_values(in[1], "a_scale", false);
  check_scale_values(in[4], "b_scale", false);
  check_scale_values(in[6], "y_scale", true);
  check_zero_point(in[2], a, s.m, "a_zero_point");
  check_zero_point(in[5], b, s.n, "b_zero_point");
  check(is_byte(y_zero.dtype) && y_zero.shape.count() == 1, "y_zero_point is {}; one uint8 or int8 is needed",
        to_string(y_zero));
  return {checked(y_zero.dtype, s.out)};
}

void eval_qlinear_matmul(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const MatMulShape s = matmul_shape(in[0].shape(), in[3].shape());
  const auto scale = [&](std::size_t input, std::int64_t i) {
    return static_cast<double>(in[input].as<float>()[in[input].count() == 1 ? 0 : i]);
  };
  const double y_scale = scale(6, 0);
  const std::int32_t y_zero = lane(in[7], 0);
  integer_matmul(s, in[0], in[3], in[2], in[5], [&](std::int64_t i, std::int64_t column, std::uint32_t sum) {
    const double k = scale(1, i / s.n % s.m) * scale(4, column) / y_scale;
    const float v = static_cast<float>(static_cast<std::int32_t>(sum)) * static_cast<float>(k);
    quantized::store(out[0], i, quantized::sat(v, y_zero, quantized::bounds_of(out[0].dtype())));
  });
}

}  // namespace

int weight_axis(const Op& op) {
  const auto* gemm = std::get_if<op::Gemm>(&op);
  return gemm != nullptr && gemm->transB != 0 ? 0 : def(op).quant.weight_axis;
}

std::vector<OpDef> matmul_ops() {
  const QuantRule gemm_rule{.kind = QuantRule::Kind::weighted, .weight = 1, .weight_axis = 1, .bias = 2};
  const QuantRule matmul_rule{.kind = QuantRule::Kind::weighted, .weight = 1, .weight_axis = 1, .bias = -1};
  return {
      {.kind = op::Gemm{},
       .onnx = {{"Gemm", op::Gemm{}, 11}},
       .infer = infer_gemm,
       .eval = eval_gemm,
       .quant = gemm_rule,
       .cost = gemm_cost},
      {.kind = op::MatMul{},
       .onnx = {{"MatMul", op::MatMul{}, 9}},
       .infer = infer_matmul,
       .eval = eval_matmul,
       .quant = matmul_rule,
       .cost = matmul_cost},
      {.kind = op::MatMulInteger{},
       .onnx = {{"MatMulInteger", op::MatMulInteger{}, 10}},
       .infer = infer_matmul_integer,
       .eval = eval_matmul_integer,
       .cost = matmul_cost},
      {.kind = op::QLinearMatMul{},
       .onnx = {{"QLinearMatMul", op::QLinearMatMul{}, 10}},
       .infer = infer_qlinear_matmul,
       .eval = eval_qlinear_matmul,
       .cost = matmul_cost},
  };
}

}  // namespace eke
