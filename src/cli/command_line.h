// The options and arguments of a command. The parser is CLI11, which command_line.cpp alone sees: its headers would
// be half of the work of compiling every command.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace eke::cli {

// What a value has to be: --help says it, and a value that is not is wrong use.
class Rule {
 public:
  explicit Rule(const CLI::Validator& validator);
  const CLI::Validator& validator() const { return *validator_; }

 private:
  std::shared_ptr<const CLI::Validator> validator_;
};
Rule between(int first, int last);
Rule between(std::int64_t first, std::int64_t last);
Rule between(double first, double last);
Rule not_negative();
Rule positive();
Rule one_of(std::vector<std::string> words);

class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option* required();
  Option* check(const Rule& rule);
  Option* type_name(const std::string& name);  // what --help shows for the value
  Option* group(const std::string& heading);
  Option* capture_default_str();  // --help shows the value that the variable holds now
  Option* delimiter(char separator);
  Option* allow_extra_args(bool allow);
  Option* excludes(Option* other);
  Option* needs(Option* other);

 private:
  CLI::Option* option_;
};

class App {
 public:
  App(const std::string& description, const std::string& name);
  explicit App(CLI::App* command) : app_(command) {}

  App* add_subcommand(const std::string& name, const std::string& description);
  // `variable` outlives the parsing. T: bool, numbers, std::string, and std::optional and std::vector of those.
  template <class T>
  Option* add_option(const std::string& names, T& variable, const std::string& help);
  Option* add_flag(const std::string& names, bool& variable, const std::string& help);
  Option* get_option(const std::string& name);

  void footer(const std::string& text);
  void callback(std::function<void()> run);  // after all of the command line has been understood
  void require_subcommand();
  bool has_subcommand() const;  // one was given
  void set_version(const std::string& text);
  // The exit code where the program ends here: after --help, --version or wrong use.
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  Option* keep(CLI::Option* option);

  std::shared_ptr<CLI::App> owned_;
  CLI::App* app_;
  std::deque<App> subcommands_;
  std::deque<Option> options_;
};

}  // namespace eke::cli
