#include "cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "cli/progress.h"

extern char** environ;

namespace eke::cli {

namespace {

constexpr std::size_t kMostOutput = std::size_t{1} << 26;
constexpr int kPollMs = 100;

// The environment, in the C locale: figures are written with points then.
std::vector<std::string> environment() {
  std::vector<std::string> result{"LC_ALL=C"};
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (std::strncmp(*variable, "LC_ALL=", 7) != 0) result.emplace_back(*variable);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// A child that is ended and waited for, whatever happens.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command) {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}",
          std::generic_category().message(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    std::vector<std::string> words = command, variables = environment();
    const int error = ::posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr, pointers(words).data(),
                                     pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ends[0];
    if (error == 0) return;
    ::close(output_);
    pid_ = 0;
    fail("cannot start '{}': {}", command[0], std::generic_category().message(error));
  }
  ~Child() {
    ::close(output_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // What it printed; empty at the end.
  std::string_view read() {
    while (true) {
      pollfd waiting{output_, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, kPollMs);
      throw_if_interrupted();
      if (ready <= 0) continue;
      const ssize_t count = ::read(output_, buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      return {buffer_.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    }
  }

  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
  int output_ = -1;
  std::array<char, 4096> buffer_{};
};

}  // namespace

ProcessResult run_process(const std::vector<std::string>& command,
                          const std::function<void(std::string_view)>& line) {
  Child child(command);
  ProcessResult result;
  std::size_t told = 0;  // how much of the output was handed on
  for (std::string_view part = child.read(); !part.empty(); part = child.read()) {
    check(result.output.size() + part.size() <= kMostOutput, "'{}' prints without end", command[0]);
    result.output += part;
    for (std::size_t end; line && (end = result.output.find('\n', told)) != std::string::npos; told = end + 1)
      line(std::string_view(result.output).substr(told, end - told));
  }
  result.exit_code = child.wait();
  return result;
}

std::string find_program(const std::string& name) {
  namespace fs = std::filesystem;
  const auto runs = [](const fs::path& path) {
    std::error_code none;
    return fs::is_regular_file(path, none) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) return runs(name) ? name : "";
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path ? path : ""; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / name;
    if (runs(candidate)) return candidate.string();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

}  // namespace eke::cli
