#include "cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "cli/child_progress.h"

namespace eke::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

bool is_for_parent() noexcept {
  static const bool given = std::getenv(kProgressForParent) != nullptr;
  return given;
}

// A line that is wider than the terminal could not be rewritten.
std::string cut_to_terminal(const std::string& text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return text;
  return text.substr(0, static_cast<std::size_t>(size.ws_col) - 1);
}

}  // namespace

std::string remaining_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 120 ? fmt::format("{} s", whole) : fmt::format("{} min", (whole + 30) / 60);
}

void catch_interrupts() noexcept {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool was_interrupted() noexcept { return interrupted != 0; }

void throw_if_interrupted() {
  if (was_interrupted()) throw Interrupted();
}

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label)),
      total_(total),
      begin_(Clock::now()),
      next_(begin_ + std::chrono::seconds(2)),
      terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (terminal_ && shown_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::int64_t done) {
  throw_if_interrupted();
  if (done <= 0) return;
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double left = elapsed / static_cast<double>(done) * static_cast<double>(total_ - done);
  show(fmt::format("{} {} of {}, {} left", label_, done, total_, remaining_text(left)));
}

void Progress::show(const std::string& text) {
  const auto now = Clock::now();
  if (now < next_) return;
  const std::string line = terminal_         ? "\r" + cut_to_terminal(text) + "\033[K"
                           : is_for_parent() ? text + "\r"
                                             : text + "\n";
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
  next_ = now + std::chrono::milliseconds(terminal_ || is_for_parent() ? 200 : 10000);
}

void Progress::finish(const std::string& text) {
  std::fputs(((terminal_ ? "\r\033[K" : "") + text + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = false;
}

std::function<void(std::string_view, std::int64_t, std::int64_t)> shown_progress() {
  struct Shown {
    std::string what;
    std::int64_t of = 0;
    std::optional<Progress> progress;
  };
  return [shown = std::make_shared<Shown>()](std::string_view what, std::int64_t done, std::int64_t of) {
    throw_if_interrupted();
    if (what.empty()) return;
    if (!shown->progress || done == 0 || shown->what != what || shown->of != of) {
      shown->what = what;
      shown->of = of;
      shown->progress.emplace(shown->what, of);
    }
    shown->progress->update(done);
    if (done >= of) shown->progress.reset();
  };
}

}  // namespace eke::cli
