#include "graph/op.h"

#include <array>
#include <cstddef>
#include <utility>

namespace eke {
namespace op {

#define EKE_NAME(name) #name,
std::string_view to_string(UnaryFn fn) noexcept {
  static constexpr std::string_view kNames[] = {EKE_UNARY_FNS(EKE_NAME)};
  return kNames[static_cast<std::size_t>(fn)];
}
std::string_view to_string(BinaryFn fn) noexcept {
  static constexpr std::string_view kNames[] = {EKE_BINARY_FNS(EKE_NAME)};
  return kNames[static_cast<std::size_t>(fn)];
}
std::string_view to_string(VariadicFn fn) noexcept {
  static constexpr std::string_view kNames[] = {EKE_VARIADIC_FNS(EKE_NAME)};
  return kNames[static_cast<std::size_t>(fn)];
}
std::string_view to_string(ReduceFn fn) noexcept {
  static constexpr std::string_view kNames[] = {EKE_REDUCE_FNS(EKE_NAME)};
  return kNames[static_cast<std::size_t>(fn)];
}

}  // namespace op

Op::Op() = default;
Op::Op(const Op& other) = default;
Op::Op(Op&& other) noexcept = default;
Op& Op::operator=(const Op& other) = default;
Op& Op::operator=(Op&& other) noexcept = default;
Op::~Op() = default;

template <class A>
requires detail::kIsAlternative<A, detail::OpVariant> Op::Op(A attributes)
    : detail::OpVariant(std::move(attributes)) {}
#define EKE_CONSTRUCTOR(name) template Op::Op(op::name);
EKE_OPS(EKE_CONSTRUCTOR)
#undef EKE_CONSTRUCTOR

bool operator==(const Op& a, const Op& b) {
  return static_cast<const detail::OpVariant&>(a) == static_cast<const detail::OpVariant&>(b);
}

std::string_view struct_name(const Op& op) noexcept {
  static constexpr std::string_view kNames[] = {EKE_OPS(EKE_NAME)};
  return kNames[op.index()];
}
#undef EKE_NAME

std::string_view op_name(const Op& op) noexcept {
  if (const auto* unary = std::get_if<op::Unary>(&op)) return to_string(unary->fn);
  if (const auto* binary = std::get_if<op::Binary>(&op)) return to_string(binary->fn);
  if (const auto* variadic = std::get_if<op::Variadic>(&op)) return to_string(variadic->fn);
  if (const auto* reduce = std::get_if<op::Reduce>(&op)) return to_string(reduce->fn);
  return struct_name(op);
}

}  // namespace eke
