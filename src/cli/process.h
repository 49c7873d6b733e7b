// Another program, run without a shell, with what it prints read line by line.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace eke::cli {

struct ProcessResult {
  int exit_code = 0;   // 128 and the signal's number where one ended it
  std::string output;  // standard output and standard error
};

// Runs command[0] (a path, or a name in PATH) in the C locale and waits. `line` gets each line when it is printed. Throws
// where the program cannot be started or prints without end; Ctrl-C ends it, too, and throws Interrupted.
ProcessResult run_process(const std::vector<std::string>& command,
                          const std::function<void(std::string_view)>& line = {});

// The path of a program that can be run: itself where it names a folder, else looked for in PATH; "" where there is none.
std::string find_program(const std::string& name);

}  // namespace eke::cli
