#include "cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace eke::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

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

void throw_if_interrupted() {
  if (interrupted != 0) throw Interrupted();
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
  std::fputs((terminal_ ? "\r" + text + "\033[K" : text + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
  next_ = now + (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000));
}

void Progress::finish(const std::string& text) {
  std::fputs(((terminal_ ? "\r\033[K" : "") + text + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace eke::cli
