// Models fed with rows in batches.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "data/rows.h"
#include "runtime/session.h"

namespace eke::cli {

struct RowDone {
  std::int64_t row;       // of the source
  std::int64_t in_batch;  // for Session::output_row
};
// Runs all rows through each session (all of one batch and row size) in batches and calls `take` row by row,
// in order.
void for_each_row(std::span<Session* const> sessions, const RowSource& source, const std::string& label,
                  const std::function<void(const RowDone&)>& take);

}  // namespace eke::cli
