// Elementwise functions of one tensor, one value at a time: for tables (docs/integer-semantics.md, rule 12).
#pragma once

#include "graph/op.h"

namespace eke {

// True for functions from a float to a float that need nothing but the operator's attributes: Relu, Sigmoid,
// LeakyRelu, Gelu, ... Not Clip and PRelu, whose parameters are inputs.
bool is_elementwise_unary(const Op& op) noexcept;

// The function of an operator for which is_elementwise_unary holds, in double.
double apply_unary(const Op& op, double x) noexcept;

// The same for float32, as OpDef::eval computes it: in double, rounded once.
inline float apply_unary(const Op& op, float x) noexcept {
  return static_cast<float>(apply_unary(op, static_cast<double>(x)));
}

// Clip of one value; NaN stays, and where lo > hi the result is hi.
template <class T>
T clip(T x, T lo, T hi) noexcept {
  const T at_least = x < lo ? lo : x;
  return at_least > hi ? hi : at_least;
}

}  // namespace eke
