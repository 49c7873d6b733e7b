#include "onnx/attributes.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/error.h"
#include "onnx/tensor_proto.h"

namespace eke::onnx {
namespace {

// Fields that ONNX lacks: functions of a family, fused parts, and flags that upgrades set.
template <class T>
inline constexpr bool kIsInner = std::is_same_v<T, bool> || std::is_same_v<T, op::Clamp> ||
                                 std::is_same_v<T, op::Rounding> ||
                                 (std::is_enum_v<T> && !std::is_same_v<T, DType>);

template <class Self, class F>
void visit_fields(Self& op, F&& f) {
  std::visit([&](auto& alternative) { std::remove_cvref_t<decltype(alternative)>::fields(alternative, f); },
             op);
}

constexpr std::array<std::string_view, 7> kKinds{
    "an int", "a float", "a string", "a list of ints", "a list of floats", "a list of strings", "a tensor"};

template <class T>
const T& typed(const OnnxAttribute& attribute, std::string_view name) {
  const T* value = std::get_if<T>(&attribute);
  check(value != nullptr, "attribute '{}' is {}, but must be {}", name, kKinds[attribute.index()],
        kKinds[OnnxAttribute(T{}).index()]);
  return *value;
}

// Writes attributes into a struct.
struct Setter {
  const OnnxNode& node;
  std::vector<std::string_view> known;

  template <class T>
  void operator()(std::string_view name, T& field) {
    if constexpr (std::is_same_v<T, bool>) {
      if (const OnnxAttribute* attribute = find(name)) field = typed<std::int64_t>(*attribute, name) != 0;
    } else if constexpr (std::is_same_v<T, DType>) {
      if (const OnnxAttribute* attribute = find(name))
        field = dtype(typed<std::int64_t>(*attribute, name), name);
    } else if constexpr (!kIsInner<T>) {
      if (const OnnxAttribute* attribute = find(name)) field = typed<T>(*attribute, name);
    }
  }

 private:
  const OnnxAttribute* find(std::string_view name) {
    known.push_back(name);
    const auto it = node.attributes.find(std::string(name));
    return it == node.attributes.end() ? nullptr : &it->second;
  }
  static DType dtype(std::int64_t number, std::string_view name) {
    const auto dtype = dtype_from_onnx(number);
    check(dtype.has_value(), "attribute '{}' is {}, which is not supported", name, data_type_name(number));
    return *dtype;
  }
};

struct Required {
  std::string_view op, attribute;
};
constexpr std::array<Required, 13> kRequired{{{"Concat", "axis"},
                                              {"Cast", "to"},
                                              {"DepthToSpace", "blocksize"},
                                              {"SpaceToDepth", "blocksize"},
                                              {"LRN", "size"},
                                              {"GroupNormalization", "num_groups"},
                                              {"BitShift", "direction"},
                                              {"MaxPool", "kernel_shape"},
                                              {"AveragePool", "kernel_shape"},
                                              {"Momentum", "alpha"},
                                              {"Momentum", "beta"},
                                              {"Momentum", "mode"},
                                              {"Momentum", "norm_coefficient"}}};

}  // namespace

std::vector<Attribute> attributes_of(const Op& op) {
  std::vector<Attribute> attributes;
  visit_fields(op, [&]<class T>(std::string_view name, const T& field) {
    if constexpr (std::is_same_v<T, DType>)
      attributes.emplace_back(name, dtype_to_onnx(field));
    else if constexpr (!kIsInner<T>)
      attributes.emplace_back(name, field);
  });
  return attributes;
}

bool has_fused_parts(const Op& op) {
  bool fused = false;
  visit_fields(op, [&]<class T>(const char*, const T& field) {
    if constexpr (requires { field.active(); }) fused = fused || field.active();
  });
  return fused;
}

bool is_required(const Op& op, std::string_view attribute) noexcept {
  return std::any_of(kRequired.begin(), kRequired.end(), [&](const Required& required) {
    return required.attribute == attribute && required.op == struct_name(op);
  });
}

Op with_attributes(const Op& prototype, const OnnxNode& node) {
  Op op = prototype;
  Setter setter{node, {}};
  visit_fields(op, setter);
  for (const auto& [name, value] : node.attributes) {
    check(std::find(setter.known.begin(), setter.known.end(), name) != setter.known.end(),
          "attribute '{}' of {} is not supported in opset {}", name, node.type, node.opset);
  }
  for (const Required& required : kRequired) {
    check(required.op != struct_name(op) || node.attributes.contains(std::string(required.attribute)),
          "attribute '{}' of {} is missing", required.attribute, node.type);
  }
  return op;
}

void check_no_inner_fields(const Op& prototype, const OnnxNode& node) {
  visit_fields(prototype, [&]<class T>(const char* name, const T&) {
    if constexpr (kIsInner<T>)
      check(!node.attributes.contains(name), "attribute '{}' of {} is not one of ONNX's", name, node.type);
  });
}

}  // namespace eke::onnx
