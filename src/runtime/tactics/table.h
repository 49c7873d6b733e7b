// Rule 12 of docs/integer-semantics.md: a function of one quantized element as a table of 256 entries.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/tactic.h"

namespace eke {

using Table = std::array<std::uint8_t, 256>;

bool is_stored_u8(const Type& type) noexcept;  // quantized per tensor, stored as uint8

// The table of a node whose input `data` is quantized, by evaluating the node on all 256 values. Its other
// inputs are constants of one element.
Table make_table(const Query& query, std::size_t data = 0);

// The change from one quantization to another alone.
Table requantize_table(const Type& from, const Type& to);  // 8-bit types, indexed by the stored byte

// The step that applies make_table(query) to every element.
Prepared prepare_table(const Query& query);
Prepared table_step(const Query& query, const Table& table, std::size_t data = 0);

}  // namespace eke
