// The attributes of an Op as ONNX knows them, through the `fields` of its struct.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/op_def.h"

namespace eke::onnx {

using Attribute = std::pair<std::string_view, OnnxAttribute>;

// In the order of the struct; without the fields that only exist inside (`fn`, clamps, flags).
std::vector<Attribute> attributes_of(const Op& op);

// Whether lowering has fused something into the operator that ONNX cannot say: a clamp, a rounding.
bool has_fused_parts(const Op& op);

// Whether a file must give the attribute: ONNX has no default for it.
bool is_required(const Op& op, std::string_view attribute) noexcept;

// The prototype with the node's attributes. Throws for an attribute that the struct lacks or that has another
// type, and for a required one that is absent.
Op with_attributes(const Op& prototype, const OnnxNode& node);

// Throws when the node, as it stands in a file, has an attribute of the name of an inner field.
void check_no_inner_fields(const Op& prototype, const OnnxNode& node);

}  // namespace eke::onnx
