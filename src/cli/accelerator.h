// Options of the commands that know NVIDIA's accelerators: plan, fit and export.
#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/model_file.h"
#include "cli/table.h"
#include "target/dla_plan.h"

namespace eke::cli {

struct AcceleratorOptions {
  std::string tensorrt, precision = "int8";
};
void declare_accelerator(App& app, AcceleratorOptions& options);
DlaTarget resolve_accelerator(const AcceleratorOptions& options);

// "DLA 52 layers in 1 block, GPU 2 layers, 3 transitions (4.1 kB)"
std::string placement_text(const DlaPlan& plan);
Json placement_json(const DlaPlan& plan);

}  // namespace eke::cli
