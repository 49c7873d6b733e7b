// What a study and the commands that it runs agree on: how they say how far they are, and that an interrupt ends them.
#pragma once

namespace eke::cli {

// In the environment of a command whose progress a study shows: Progress then writes updates often and ends them in "\r".
inline constexpr const char* kProgressForParent = "EKE_PROGRESS_FOR_PARENT";

bool was_interrupted() noexcept;

}  // namespace eke::cli
