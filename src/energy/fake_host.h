// For tests: a machine made of recorded files, errors and a clock that only moves when it is told to.
#pragma once

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "energy/host.h"

namespace eke::energy::test {

class FakeHost : public Host {
 public:
  struct File {
    std::vector<FileText> texts;  // one a read, the last one again and again
    std::size_t next = 0;
  };

  void set(const std::string& path, const std::string& text) { files_[path] = {{{text, 0}}}; }
  void fail(const std::string& path, int error) { files_[path] = {{{"", error}}}; }
  void script(const std::string& path, std::vector<FileText> texts) { files_[path] = {std::move(texts)}; }
  void remove(const std::string& path) { files_.erase(path); }
  void advance(Nanoseconds time) { now_ += time; }

  // A tree of files: "/path = text" ("\n" for a line break), "/path ! EACCES", "> command = what the firmware answers".
  static FakeHost load(const std::string& file) {
    FakeHost host;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line[0] == '#') continue;
      const std::size_t equals = line.find(" = "), bang = line.find(" ! ");
      if (line[0] == '>') {
        host.firmware[line.substr(2, equals - 2)] = unescaped(line.substr(equals + 3));
      } else if (equals != std::string::npos) {
        host.set(line.substr(0, equals), unescaped(line.substr(equals + 3)));
      } else if (bang != std::string::npos) {
        host.fail(line.substr(0, bang), line.substr(bang + 3) == "EACCES" ? EACCES : EIO);
      }
    }
    return host;
  }

  FileText read(const std::string& path) override {
    const auto at = files_.find(path);
    if (at == files_.end()) return {"", ENOENT};
    File& file = at->second;
    const FileText text = file.texts[std::min(file.next, file.texts.size() - 1)];
    ++file.next;
    return text;
  }

  std::vector<std::string> list(const std::string& folder) override {
    std::set<std::string> names;
    for (const auto& [path, file] : files_) {
      if (path.starts_with(folder + "/"))
        names.insert(path.substr(folder.size() + 1, path.find('/', folder.size() + 1) - folder.size() - 1));
    }
    std::vector<std::string> sorted(names.begin(), names.end());
    std::sort(sorted.begin(), sorted.end(), natural_less);
    return sorted;
  }

  Nanoseconds now() override { return now_; }
  void sleep(Nanoseconds time) override { now_ += time; }
  int open_perf(std::uint32_t type, std::uint64_t config, int cpu) override {
    return perf ? perf(type, config, cpu) : -EACCES;
  }
  FileText firmware_command(const std::string& command) override {
    const auto at = firmware.find(command);
    return at == firmware.end() ? FileText{"", firmware_error} : FileText{at->second, 0};
  }
  std::string nvml_library() override { return nvml; }

  std::function<int(std::uint32_t, std::uint64_t, int)> perf;
  std::map<std::string, std::string> firmware;
  int firmware_error = ENOENT;
  std::string nvml = "libno-such-nvml.so";

 private:
  static std::string unescaped(std::string text) {
    for (std::size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at)
      text.replace(at, 2, "\n");
    return text;
  }

  std::map<std::string, File> files_;
  Nanoseconds now_{1'000'000'000};
};

}  // namespace eke::energy::test
