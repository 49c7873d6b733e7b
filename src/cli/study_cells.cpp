#include "cli/study_cells.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <span>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/statistics.h"
#include "cli/child_progress.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "eke/version.h"
#include "report/runs.h"

extern char** environ;

namespace eke::cli {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxResultBytes = std::size_t{1} << 28;
constexpr int kPollMs = 200;

// How a child ended, and what the system counted of it.
struct Ended {
  int code;
  double seconds, cpu_seconds;
  std::int64_t peak_bytes;  // resident
};

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// The descriptors of a pipe, each closed once.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    check(::pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe: {}", std::generic_category().message(errno));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

int opened(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(fd >= 0, "cannot write '{}': {}", path.string(), std::generic_category().message(errno));
  return fd;
}

// In the child: nothing but system calls. A cell does not outlive its study, which would run it again beside it.
[[noreturn]] void become(char* const* argv, char* const* environment, int out, int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent && ::dup2(out, 1) == 1 && ::dup2(err, 2) == 2)
    ::execve("/proc/self/exe", argv, environment);
  ::_exit(127);
}

// What a cell says on its standard error: shown below the line of the cell while it runs.
class CellView {
 public:
  void take(std::string_view part) {
    for (const char c : part) {
      if (c != '\r' && c != '\n') {
        line_ += c;
        continue;
      }
      if (line_.empty()) continue;
      last_line_ = printable(line_);
      line_.clear();
      show();
    }
  }
  // Called again and again, so that a silent cell is seen to be alive.
  void show() {
    const std::string& text = last_line_;
    if (text.starts_with("eke: ")) return;  // the study says itself that the cell failed
    progress_.show(text.empty() ? fmt::format("  at work for {}", remaining_text(seconds())) : "  " + text);
  }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  const std::string& last_line() const noexcept { return last_line_; }

 private:
  Clock::time_point begin_ = Clock::now();
  std::string line_, last_line_;
  Progress progress_{"", 0};
};

// Hands on what the child prints until it closes its end; an interrupt is handed on, too.
void watch(int fd, pid_t child, CellView& view) {
  bool told = false;
  std::array<char, 4096> buffer{};
  while (true) {
    if (was_interrupted() && !told) {
      ::kill(child, SIGTERM);
      told = true;
    }
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, kPollMs) <= 0) {
      view.show();
      continue;
    }
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    view.take({buffer.data(), static_cast<std::size_t>(count)});
  }
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Runs `eke ARGUMENTS...`; its standard output goes to a file.
Ended run_eke(const std::vector<std::string>& arguments, const fs::path& out, CellView& view) {
  std::vector<std::string> words{"eke"}, variables{fmt::format("{}=1", kProgressForParent)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  const std::vector<char*> argv = pointers(words), environment = pointers(variables);
  Pipe pipe;
  const int file = opened(out);
  const Clock::time_point begin = Clock::now();
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) become(argv.data(), environment.data(), file, pipe.ends[1], parent);
  ::close(file);
  check(child > 0, "cannot start eke for a cell: {}", std::generic_category().message(errno));
  pipe.close_end(1);
  watch(pipe.ends[0], child, view);
  int status = 0;
  rusage used{};
  while (::wait4(child, &status, 0, &used) < 0) check(errno == EINTR, "a cell was lost");
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          std::chrono::duration<double>(Clock::now() - begin).count(),
          seconds_of(used.ru_utime) + seconds_of(used.ru_stime), std::int64_t{1024} * used.ru_maxrss};
}

Json read_json(const fs::path& path) { return Json::parse(read_file(path.string(), kMaxResultBytes)); }

// How long cells of each kind took, for the time that is left.
class Durations {
 public:
  void add(const study::Cell& cell, const Json& result) {
    const auto process = result.find("process");
    if (process != result.end()) seconds_[kind_of(cell)].push_back(process->value("seconds", 0.0));
  }
  std::string left(std::span<const study::Cell* const> cells) const {
    double total = 0;
    bool all_known = true;
    for (const study::Cell* cell : cells) {
      const auto known = seconds_.find(kind_of(*cell));
      all_known &= known != seconds_.end();
      if (known != seconds_.end()) total += mean(known->second);
    }
    if (total < 1) return "";
    return fmt::format(", {} {} left", all_known ? "about" : "more than", remaining_text(total));
  }

 private:
  static std::string kind_of(const study::Cell& cell) {
    return cell.name.ends_with(".qat.train") ? "qat.train" : cell.name.substr(cell.name.rfind('.') + 1);
  }
  std::map<std::string, std::vector<double>> seconds_;
};

// Of a cell that left no result: what it said last, which may be nothing.
std::string reason_of(const std::string& last_line, int code) {
  constexpr std::string_view kName = "eke: ";
  if (last_line.starts_with(kName)) return last_line.substr(kName.size());
  if (code == 128 + SIGKILL)
    return "it was killed, as the system does where memory is short; for a training, 'memory' in its options "
           "helps";
  return fmt::format("exit code {}{}{}", code, last_line.empty() ? "" : ", after: ", last_line);
}

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

// What there is to do: without the models that were not made, where the others are worth it.
std::vector<std::string> arguments_of(const study::Cell& cell) {
  std::vector<std::string> arguments = cell.arguments;
  for (const std::string& file : cell.reads)
    if (cell.takes_some && !fs::exists(file)) std::erase(arguments, file);
  return arguments;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder)
    : fd_(::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  check(fd_ >= 0, "cannot write in folder '{}'", folder.string());
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    fail("another study runs in folder '{}': wait for it, or give another --output", folder.string());
  }
}
FolderLock::~FolderLock() { ::close(fd_); }

void CellRunner::run() const {
  Durations durations;
  std::vector<const study::Cell*> left;
  for (const study::Cell& cell : cells_) {
    if (!finished(cell))
      left.push_back(&cell);
    else
      durations.add(cell, read_json(path_of(cell)));
  }
  std::size_t wanted = left.size(), number = 0;
  say(fmt::format("{} cells, {} of them finished before\n", cells_.size(), cells_.size() - wanted));
  // Each is looked at again in its turn: a model that was made again makes what reads it stale.
  for (const study::Cell& cell : cells_) {
    if (finished(cell)) continue;
    throw_if_interrupted();
    if (std::erase(left, &cell) == 0) ++wanted;
    left.insert(left.begin(), &cell);
    say(fmt::format("[{}/{}] {}{}\n", ++number, wanted, cell.name, durations.left(left)));
    run_cell(cell);
    left.erase(left.begin());
    if (fs::exists(path_of(cell))) durations.add(cell, read_json(path_of(cell)));
  }
}

Json CellRunner::results() const {
  Json cells = Json::array();
  for (const study::Cell& cell : cells_) {
    const fs::path good = path_of(cell), bad = failed_path_of(cell);
    const fs::path path = fs::exists(good) ? good : bad;
    Json json = Json::parse(read_file(path.string(), kMaxResultBytes));
    json["cell"] = cell.name;
    json["network"] = cell.network;
    cells.push_back(std::move(json));
  }
  return cells;
}

bool CellRunner::finished(const study::Cell& cell) const {
  const fs::path path = path_of(cell);
  if (!fs::exists(path)) return false;
  const Json json = report::parse_run(path.string(), read_file(path.string(), kMaxResultBytes)).json;
  const std::string version = json.value("eke", "an unknown version");
  check(version == eke::version(),
        "'{}' is a result of eke {}, and this is {}: give another --output, or remove it", path.string(),
        version, eke::version());
  if (json.value("arguments", Json()) != Json(arguments_of(cell))) return false;
  return std::all_of(cell.reads.begin(), cell.reads.end(), [&](const std::string& file) {
    std::error_code error;
    const auto changed = fs::last_write_time(file, error);
    return error ? cell.takes_some : changed <= fs::last_write_time(path);
  });
}

void CellRunner::run_cell(const study::Cell& cell) const {
  const auto missing = std::find_if_not(cell.reads.begin(), cell.reads.end(),
                                        [](const std::string& file) { return fs::exists(file); });
  const bool none_is_there = std::none_of(cell.reads.begin(), cell.reads.end(),
                                          [](const std::string& file) { return fs::exists(file); });
  if (missing != cell.reads.end() && (none_is_there || !cell.takes_some))
    return keep_failure(cell, fmt::format("'{}' was not made", *missing), kFailed);
  const fs::path out = folder_ / ".stdout";
  CellView view;
  const Ended ended = run_eke(arguments_of(cell), out, view);
  throw_if_interrupted();
  Json result = Json::parse(read_file(out.string(), kMaxResultBytes), nullptr, false);
  std::error_code none;
  if (!result.is_discarded()) {  // a collapsed model is a result too
    result["process"] = {
        {"seconds", ended.seconds}, {"cpu_seconds", ended.cpu_seconds}, {"peak_bytes", ended.peak_bytes}};
    fs::remove(failed_path_of(cell), none);
    write_file_atomically(path_of(cell).string(), text_of(result));
  } else {
    keep_failure(cell, reason_of(view.last_line(), ended.code), ended.code);
  }
  fs::remove(out, none);
}

void CellRunner::keep_failure(const study::Cell& cell, const std::string& reason, int code) const {
  say(fmt::format("  failed: {}\n", printable(reason)));
  std::error_code none;
  fs::remove(path_of(cell), none);
  write_file_atomically(failed_path_of(cell).string(), text_of({{"command", "failed"},
                                                                {"cell", cell.name},
                                                                {"arguments", cell.arguments},
                                                                {"exit_code", code},
                                                                {"error", reason}}));
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eke::cli
