// The text form of a graph, for tests and for people. One statement a line; '#' starts a comment.
//
//   graph "name"
//   metadata "key" "value"
//   input %x: f32[?,3,8,8] dims("N","","","")
//   const %w: f32[4,3,1,1] = [0.5,-1,...]
//   %y: f32[?,4,8,8] = Conv "conv1" (%x, %w, _) {strides=[2,2] group=1}
//   output %y
//
// Attributes at their defaults are left out. '_' stands for an absent operand. A name that holds other
// characters than letters, digits and _ . / - is quoted: %"a b". Quantized types carry `quant(axis,
// [scales], [zero_points])`. Values are numbered in the order of their declarations; where a graph deviates
// from that, `@n` behind the name gives the number. `value` declares what nothing defines.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <map>
#include <type_traits>
#include <unordered_map>

#include "base/error.h"
#include "graph/graph.h"

namespace eke {
namespace {

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/' || c == '-';
}

// The float kinds by their bits: shortest decimal form, and the bits of unusual NaNs.
struct FloatFormat {
  std::uint64_t quiet_nan;
  int bytes;
};
constexpr FloatFormat float_format(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return {0x7FF8000000000000u, 8};
    case DType::f16:
      return {0x7E00u, 2};
    case DType::bf16:
      return {0x7FC0u, 2};
    default:
      return {0x7FC00000u, 4};
  }
}

// --- printing ----------------------------------------------------------------------------------------------

class Printer {
 public:
  Printer(const Graph& graph, std::int64_t max_elements) : graph_(graph), max_elements_(max_elements) {}

  std::string run() {
    text_ += "graph ";
    quoted(graph_.name);
    text_ += '\n';
    for (const auto& [key, value] : graph_.metadata) {
      text_ += "metadata ";
      quoted(key);
      text_ += ' ';
      quoted(value);
      text_ += '\n';
    }
    std::vector<bool> declared(graph_.values.size(), false);
    const auto mark = [&](ValueId id) {
      if (known(id)) declared[static_cast<std::size_t>(id)] = true;
    };
    for (const ValueId id : graph_.inputs) statement("input ", id), mark(id);
    for (std::size_t i = 0; i < graph_.values.size(); ++i)
      if (graph_.values[i].constant) statement("const ", static_cast<ValueId>(i)), declared[i] = true;
    for (const Node& node : graph_.nodes) std::for_each(node.out.begin(), node.out.end(), mark);
    for (std::size_t i = 0; i < declared.size(); ++i)
      if (!declared[i]) statement("value ", static_cast<ValueId>(i));
    for (const Node& node : graph_.nodes) print(node);
    for (const ValueId id : graph_.outputs) {
      text_ += "output ";
      reference(id);
      text_ += '\n';
    }
    return std::move(text_);
  }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  bool known(ValueId id) const { return id >= 0 && static_cast<std::size_t>(id) < graph_.values.size(); }

  void quoted(std::string_view s) {
    text_ += '"';
    for (const char c : s) {
      if (c == '"' || c == '\\')
        put("\\{}", c);
      else if (c == '\n')
        text_ += "\\n";
      else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
        put("\\x{:02x}", static_cast<unsigned char>(c));
      else
        text_ += c;
    }
    text_ += '"';
  }

  void reference(ValueId id) {
    if (id == kNoValue) {
      text_ += '_';
    } else if (!known(id)) {
      put("!{}", id);  // a broken graph, printed for a message
    } else {
      const std::string& name = graph_[id].name;
      text_ += '%';
      if (!name.empty() && std::all_of(name.begin(), name.end(), is_name_char))
        text_ += name;
      else
        quoted(name);
    }
  }

  // A name where it is declared, with its type.
  void declaration(ValueId id) {
    reference(id);
    if (!known(id)) return;
    if (id != next_) put("@{}", id);
    next_ = id + 1;
    text_ += ": ";
    print(graph_[id].type);
    if (graph_[id].dim_names.empty()) return;
    text_ += " dims(";
    list(graph_[id].dim_names, [&](const std::string& s) { quoted(s); });
    text_ += ')';
  }

  void statement(std::string_view keyword, ValueId id) {
    text_ += keyword;
    declaration(id);
    if (const Tensor* tensor = known(id) ? graph_.constant(id) : nullptr) {
      text_ += " = ";
      elements(*tensor);
    }
    text_ += '\n';
  }

  template <class Range, class F>
  void list(const Range& range, F&& f) {
    bool first = true;
    for (const auto& item : range) {
      if (!first) text_ += ',';
      first = false;
      f(item);
    }
  }

  void print(const Type& type) {
    text_ += to_string(type);
    if (!type.quant) return;
    put(" quant({},[", type.quant->axis);
    list(type.quant->scale, [&](float s) { print(s); });
    text_ += "],[";
    list(type.quant->zero_point, [&](std::int32_t z) { put("{}", z); });
    text_ += "])";
  }

  template <DType kDType, class T>
  void print_float(T value, std::uint64_t bits) {
    if (std::isnan(value) && bits != float_format(kDType).quiet_nan)
      put("nan(0x{:x})", bits);
    else if (std::isnan(value))
      text_ += "nan";
    else
      put("{}", value);
  }

  void element(const Tensor& tensor, std::int64_t i) {
    const void* data = tensor.data();
    const auto at = [&]<class T>(T) { return static_cast<const T*>(data)[i]; };
    switch (tensor.dtype()) {
      case DType::f32:
        return print(at(float{}));
      case DType::f64:
        return print_float<DType::f64>(at(double{}), std::bit_cast<std::uint64_t>(at(double{})));
      case DType::f16:
        return print_float<DType::f16>(half_to_float(at(std::uint16_t{})), at(std::uint16_t{}));
      case DType::bf16:
        return print_float<DType::bf16>(bfloat16_to_float(at(std::uint16_t{})), at(std::uint16_t{}));
      case DType::u64:
        return put("{}", at(std::uint64_t{}));
      default:
        return put("{}", element_as_int(tensor.view(), i));
    }
  }

  void elements(const Tensor& tensor) {
    if (max_elements_ >= 0 && tensor.count() > max_elements_) {
      std::uint64_t digest = 0xCBF29CE484222325u;  // FNV-1a
      const auto* bytes = static_cast<const unsigned char*>(tensor.data());
      for (std::size_t i = 0; i < tensor.bytes(); ++i) digest = (digest ^ bytes[i]) * 0x100000001B3u;
      put("<{} elements, digest {:016x}>", tensor.count(), digest);
      return;
    }
    text_ += '[';
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
      if (i) text_ += ',';
      element(tensor, i);
    }
    text_ += ']';
  }

  void print(float value) { print_float<DType::f32>(value, std::bit_cast<std::uint32_t>(value)); }
  void print(std::int64_t value) { put("{}", value); }
  void print(bool value) { put("{}", value); }
  void print(const std::string& value) { quoted(value); }
  void print(DType value) { text_ += to_string(value); }
  void print(const op::Clamp& clamp) {
    text_ += '[';
    print(clamp.lo);
    text_ += ',';
    print(clamp.hi);
    text_ += ']';
  }
  void print(const op::Rounding& rounding) {
    text_ += '[';
    print(rounding.scale);
    put(",{},{}]", rounding.zero_point, to_string(rounding.dtype));
  }
  template <class T>
  void print(const std::vector<T>& values) {
    text_ += '[';
    list(values, [&](const T& v) { print(v); });
    text_ += ']';
  }
  void print(const Tensor& tensor) {
    if (!tensor.data()) {
      text_ += "none";
      return;
    }
    print(tensor.type());
    text_ += ' ';
    elements(tensor);
  }

  void attributes(const Op& op) {
    std::string_view separator = " {";
    const auto field = [&]<class T>(std::string_view name, const T& value, const T& standard) {
      if constexpr (!std::is_enum_v<T> || std::is_same_v<T, DType>) {  // the enums are the operator's name
        if (value == standard) return;
        put("{}{}=", separator, name);
        print(value);
        separator = " ";
      }
    };
    std::visit(
        [&]<class S>(const S& s) {
          const S standard{};
          std::map<std::string_view, const void*> standards;
          S::fields(standard, [&](std::string_view name, const auto& value) { standards[name] = &value; });
          S::fields(s, [&]<class T>(std::string_view name, const T& value) {
            field(name, value, *static_cast<const T*>(standards[name]));
          });
        },
        op);
    if (separator == " ") text_ += '}';
  }

  void print(const Node& node) {
    bool first = true;
    for (const ValueId id : node.out) {
      if (!first) text_ += ", ";
      first = false;
      declaration(id);
    }
    put(" = {}", op_name(node.op));
    if (!node.name.empty()) {
      text_ += ' ';
      quoted(node.name);
    }
    text_ += " (";
    first = true;
    for (const ValueId id : node.in) {
      if (!first) text_ += ", ";
      first = false;
      reference(id);
    }
    text_ += ')';
    attributes(node.op);
    text_ += '\n';
  }

  const Graph& graph_;
  std::int64_t max_elements_;
  std::string text_;
  ValueId next_ = 0;
};

// --- parsing -----------------------------------------------------------------------------------------------

// Operators by the name that op_name prints.
const std::map<std::string_view, Op>& prototypes() {
  static const std::map<std::string_view, Op> table = [] {
    std::map<std::string_view, Op> result;
    const auto add = [&](const Op& op) { result.emplace(op_name(op), op); };
#define EKE_PROTOTYPE(name) add(op::name{});
    EKE_OPS(EKE_PROTOTYPE)
#undef EKE_PROTOTYPE
#define EKE_UNARY(name) add(op::Unary{op::UnaryFn::name});
    EKE_UNARY_FNS(EKE_UNARY)
#undef EKE_UNARY
#define EKE_BINARY(name) add(op::Binary{op::BinaryFn::name});
    EKE_BINARY_FNS(EKE_BINARY)
#undef EKE_BINARY
#define EKE_VARIADIC(name) add(op::Variadic{op::VariadicFn::name});
    EKE_VARIADIC_FNS(EKE_VARIADIC)
#undef EKE_VARIADIC
#define EKE_REDUCE(name)            \
  {                                 \
    op::Reduce reduce;              \
    reduce.fn = op::ReduceFn::name; \
    add(reduce);                    \
  }
    EKE_REDUCE_FNS(EKE_REDUCE)
#undef EKE_REDUCE
    return result;
  }();
  return table;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Graph run() {
    while (true) {
      skip_blank_lines();
      if (at_ == text_.size()) break;
      statement();
      skip_spaces();
      if (at_ != text_.size() && text_[at_] != '\n') error("the end of the line");
    }
    for (std::size_t i = 0; i < declared_.size(); ++i)
      check(declared_[i], "graph text: value {} is declared nowhere", i);
    return std::move(graph_);
  }

 private:
  [[noreturn]] void error(std::string_view expected) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t newline = before.rfind('\n');
    const std::size_t column = newline == std::string_view::npos ? at_ + 1 : at_ - newline;
    fail("graph text, line {}, column {}: {} expected", line, column, expected);
  }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
    if (at_ < text_.size() && text_[at_] == '#')
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  void skip_blank_lines() {
    skip_spaces();
    while (at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
      skip_spaces();
    }
  }
  bool peek(char c) {
    skip_spaces();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool accept(char c) {
    if (!peek(c)) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) error(fmt::format("'{}'", c));
  }
  bool accept_word(std::string_view word) {
    skip_spaces();
    const std::size_t end = at_ + word.size();
    if (text_.substr(at_, word.size()) != word || (end < text_.size() && is_name_char(text_[end])))
      return false;
    at_ = end;
    return true;
  }
  std::string_view word(std::string_view what) {
    skip_spaces();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    if (begin == at_) error(what);
    return text_.substr(begin, at_ - begin);
  }

  template <class T>
  T number(std::string_view what) {
    skip_spaces();
    T value{};
    const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (status != std::errc()) error(what);
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  char escape() {
    if (at_ >= text_.size()) error("an escape");
    const char c = text_[at_++];
    if (c == 'n') return '\n';
    if (c == '"' || c == '\\') return c;
    unsigned char code = 0;
    const char* begin = text_.data() + at_;
    if (c != 'x' || text_.size() - at_ < 2 || std::from_chars(begin, begin + 2, code, 16).ptr != begin + 2)
      error("one of \\\" \\\\ \\n \\xHH");
    at_ += 2;
    return static_cast<char>(code);
  }
  std::string quoted() {
    expect('"');
    std::string result;
    while (true) {
      if (at_ == text_.size() || text_[at_] == '\n') error("'\"'");
      const char c = text_[at_++];
      if (c == '"') return result;
      result += c == '\\' ? escape() : c;
    }
  }

  // Calls item() for each element of "open item, item close".
  template <class F>
  void list(char open, char close, F&& item) {
    expect(open);
    if (accept(close)) return;
    do item();
    while (accept(','));
    expect(close);
  }

  std::string name() {
    expect('%');
    return peek('"') ? quoted() : std::string(word("a name"));
  }

  ValueId reference() {
    if (accept('_')) return kNoValue;
    skip_spaces();
    const std::size_t begin = at_;
    const auto found = ids_.find(name());
    if (found == ids_.end()) {
      at_ = begin;
      error("a value that is declared above");
    }
    return found->second;
  }

  ValueId declaration() {
    std::string value_name = name();
    ValueId id = next_;
    if (accept('@')) id = number<ValueId>("a number");
    // The text has at least as many characters as the graph has values.
    if (id < 0 || static_cast<std::size_t>(id) > text_.size()) error("a number that belongs to this graph");
    const auto index = static_cast<std::size_t>(id);
    if (index >= declared_.size()) {
      declared_.resize(index + 1, false);
      graph_.values.resize(index + 1);
    }
    if (declared_[index] || !ids_.emplace(value_name, id).second) error("a name and number not used before");
    declared_[index] = true;
    next_ = id + 1;
    expect(':');
    graph_[id].name = std::move(value_name);
    graph_[id].type = type();
    if (accept_word("dims")) list('(', ')', [&] { graph_[id].dim_names.push_back(quoted()); });
    return id;
  }

  DType dtype() {
    skip_spaces();
    const std::size_t begin = at_;
    const std::optional<DType> result = parse_dtype(word("an element type"));
    if (!result) {
      at_ = begin;
      error("an element type");
    }
    return *result;
  }

  Type type() {
    Type result{dtype(), {}};
    list('[', ']', [&] {
      if (result.shape.rank() == Shape::kMaxRank) error(fmt::format("at most {} extents", Shape::kMaxRank));
      result.shape.push_back(accept('?') ? kDynamic : number<std::int64_t>("an extent"));
    });
    if (accept_word("quant")) {
      QParams quant;
      expect('(');
      quant.axis = number<int>("an axis");
      expect(',');
      list('[', ']', [&] { quant.scale.push_back(floating<DType::f32, float>()); });
      expect(',');
      list('[', ']', [&] { quant.zero_point.push_back(number<std::int32_t>("a zero point")); });
      expect(')');
      result.quant = std::move(quant);
    }
    return result;
  }

  std::optional<std::uint64_t> nan_bits() {
    skip_spaces();
    if (text_.substr(at_, 6) != "nan(0x") return std::nullopt;
    at_ += 6;
    std::uint64_t bits = 0;
    const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), bits, 16);
    if (status != std::errc()) error("the bits of a NaN");
    at_ = static_cast<std::size_t>(end - text_.data());
    expect(')');
    return bits;
  }

  template <DType kDType, class T>
  T floating() {
    using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
    if (const auto bits = nan_bits()) return std::bit_cast<T>(static_cast<Bits>(*bits));
    return number<T>("a number");
  }
  std::uint16_t small_float(std::uint16_t (*round)(float)) {
    if (const auto bits = nan_bits()) return static_cast<std::uint16_t>(*bits);
    return round(number<float>("a number"));
  }

  void element(Tensor& tensor, std::int64_t i) {
    void* data = tensor.mutable_data();
    const auto set = [&]<class T>(T value) { static_cast<T*>(data)[i] = value; };
    constexpr std::string_view kWhat = "an integer that fits the type";
    switch (tensor.dtype()) {
      case DType::f32:
        return set(floating<DType::f32, float>());
      case DType::f64:
        return set(floating<DType::f64, double>());
      case DType::f16:
        return set(small_float(float_to_half));
      case DType::bf16:
        return set(small_float(float_to_bfloat16));
      case DType::i8:
        return set(number<std::int8_t>(kWhat));
      case DType::u8:
        return set(number<std::uint8_t>(kWhat));
      case DType::i16:
        return set(number<std::int16_t>(kWhat));
      case DType::u16:
        return set(number<std::uint16_t>(kWhat));
      case DType::i32:
        return set(number<std::int32_t>(kWhat));
      case DType::u32:
        return set(number<std::uint32_t>(kWhat));
      case DType::i64:
        return set(number<std::int64_t>(kWhat));
      case DType::u64:
        return set(number<std::uint64_t>(kWhat));
      case DType::boolean:
        return set(number<std::uint8_t>(kWhat) != 0);
    }
  }

  Tensor tensor(const Type& type) {
    // An element takes two characters at least, which bounds what a short text can ask for.
    const std::size_t bytes = byte_size(type.dtype, type.shape);
    if (bytes / size_of(type.dtype) > text_.size()) error("as many elements as the shape says");
    Tensor result(type);
    std::int64_t i = 0;
    list('[', ']', [&] {
      if (i == result.count()) error(fmt::format("{} elements, not more,", result.count()));
      element(result, i++);
    });
    if (i != result.count()) error(fmt::format("{} elements", result.count()));
    return result;
  }

  void read(float& value) { value = floating<DType::f32, float>(); }
  void read(std::int64_t& value) { value = number<std::int64_t>("an integer"); }
  void read(std::string& value) { value = quoted(); }
  void read(DType& value) { value = dtype(); }
  void read(bool& value) {
    value = accept_word("true");
    if (!value && !accept_word("false")) error("true or false");
  }
  void read(op::Clamp& clamp) {
    expect('[');
    read(clamp.lo);
    expect(',');
    read(clamp.hi);
    expect(']');
  }
  void read(op::Rounding& rounding) {
    expect('[');
    read(rounding.scale);
    expect(',');
    rounding.zero_point = number<std::int32_t>("a zero point");
    expect(',');
    rounding.dtype = dtype();
    expect(']');
  }
  template <class T>
  void read(std::vector<T>& values) {
    values.clear();
    list('[', ']', [&] { read(values.emplace_back()); });
  }
  void read(Tensor& value) {
    if (accept_word("none"))
      value = Tensor();
    else
      value = tensor(type());
  }

  void attribute(Op& op) {
    skip_spaces();
    const std::size_t begin = at_;
    const std::string_view key = word("an attribute");
    expect('=');
    bool found = false;
    std::visit(
        [&]<class S>(S& s) {
          S::fields(s, [&]<class T>(std::string_view field, T& value) {
            if constexpr (!std::is_enum_v<T> || std::is_same_v<T, DType>) {
              if (field != key) return;
              read(value);
              found = true;
            }
          });
        },
        op);
    if (found) return;
    at_ = begin;
    error(fmt::format("an attribute of {}", op_name(op)));
  }

  Op op() {
    skip_spaces();
    const std::size_t begin = at_;
    const auto found = prototypes().find(word("an operator"));
    if (found != prototypes().end()) return found->second;
    at_ = begin;
    error("an operator");
  }

  void node() {
    Node node;
    do node.out.push_back(accept('_') ? kNoValue : declaration());
    while (accept(','));
    expect('=');
    node.op = op();
    if (peek('"')) node.name = quoted();
    list('(', ')', [&] { node.in.push_back(reference()); });
    if (accept('{'))
      while (!accept('}')) attribute(node.op);
    graph_.nodes.push_back(std::move(node));
  }

  void statement() {
    if (peek('%') || peek('_')) return node();
    if (accept_word("graph")) {
      graph_.name = quoted();
    } else if (accept_word("metadata")) {
      std::string key = quoted();
      graph_.metadata[std::move(key)] = quoted();
    } else if (accept_word("input")) {
      graph_.inputs.push_back(declaration());
    } else if (accept_word("const")) {
      const ValueId id = declaration();
      expect('=');
      graph_[id].constant = std::make_shared<const Tensor>(tensor(graph_[id].type));
    } else if (accept_word("value")) {
      declaration();
    } else if (accept_word("output")) {
      graph_.outputs.push_back(reference());
    } else {
      error("graph, metadata, input, const, value, output or a node");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Graph graph_;
  std::vector<bool> declared_;
  std::unordered_map<std::string, ValueId> ids_;
  ValueId next_ = 0;
};

}  // namespace

std::string to_text(const Graph& graph, std::int64_t max_elements) {
  return Printer(graph, max_elements).run();
}

Graph parse_text(std::string_view text) { return Parser(text).run(); }

}  // namespace eke
