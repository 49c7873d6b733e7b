// compile() for a graph that nobody needs any more.
#pragma once

#include "runtime/plan.h"

namespace eke {

// As compile(). Constants that only this graph holds are freed one by one as they are packed, so that weights are not
// there twice.
Plan compile_and_free(Graph graph, const CompileOptions& options = {});

}  // namespace eke
