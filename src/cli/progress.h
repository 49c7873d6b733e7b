// Progress of long work on standard error, and Ctrl-C. Standard output carries results only.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

namespace eke::cli {

// Thrown from Progress::update after Ctrl-C, so that destructors run and no partial file stays.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

// The first Ctrl-C asks the work to stop at its next update; a second one ends the process at once.
void catch_interrupts() noexcept;
void throw_if_interrupted();

std::string remaining_text(double seconds);  // "12 s", "5 min"

// Says how far the work is and how long it will take, once it has run for two seconds: on a terminal in one
// line that is rewritten, elsewhere a line every ten seconds.
class Progress {
 public:
  Progress(std::string label, std::int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done);  // throws Interrupted

  // The same with a text of the caller's.
  void show(const std::string& text);
  // A line that stays.
  void finish(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  std::int64_t total_;
  Clock::time_point begin_, next_;
  bool terminal_, shown_ = false;
};

// Shows what a piece of the library tells of its long work, one piece after the other, and throws Interrupted.
std::function<void(std::string_view what, std::int64_t done, std::int64_t of)> shown_progress();

}  // namespace eke::cli
