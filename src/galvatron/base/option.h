// Options of a command, each described once: its name, values, default and help. The command line,
// TOML files, Python's keyword arguments, the record of a run and the tables of the docs are made
// from the list; a wrong value is one sentence wherever it comes from.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/json.h"
#include "galvatron/base/units.h"

namespace galvatron {

enum class OptionKind {
  kText,
  kPath,
  kBytes,
  kAmount,
  kCount,
  kNumber,
  kChoice,
  kSwitch,
  kFlag,
  kList
};

// Bound to a variable, which must outlive it and holds the default.
struct Option {
  std::string name;  // "seq-length"
  OptionKind kind = OptionKind::kText;
  std::string help;         // one sentence, with the unit
  std::string placeholder;  // of the value: "N", "SIZE", "gpipe|1f1b"
  std::string group;        // heading that it stands under
  std::string standard;     // the default as text; empty: none, or the help says it
  bool is_required = false;
  bool takes_several = false;  // may be given again and again; else the last one counts
  // Sets the variable. `shown` is what the error calls the option: "--seq-length", "seq_length".
  std::function<void(const std::string& text, const std::string& shown)> parse;
  std::function<OrderedJson()> value;  // of the variable, for the record of a run
  bool is_positional = false;          // the command line takes the value without the name, too

  std::string python_name() const;  // "seq_length"
  std::string python_type() const;  // "int", "str", "list[float]", ...

  Option& required();
  Option& positional();
  Option& says_default();  // the help does: standard is left out
  Option& shows_default(const std::string& text);
};

// Numbers that an option takes, both ends included.
template <typename T>
struct Bounds {
  T min = std::numeric_limits<T>::lowest();
  T max = std::numeric_limits<T>::max();
  bool below_max = false;  // max itself is left out
};

using Names = std::vector<std::string>;

class OptionList {
 public:
  using Counts = Bounds<std::int64_t>;
  using Numbers = Bounds<double>;

  // Options that are added from here on stand under this heading.
  OptionList& group(const std::string& heading);

  Option& text(const std::string& name, std::string& value, const std::string& help,
               const std::string& placeholder = "TEXT");
  Option& path(const std::string& name, std::string& value, const std::string& help);
  // "16GiB", "80GB", "512MiB".
  Option& bytes(const std::string& name, Bytes& value, const std::string& help);
  Option& bytes(const std::string& name, std::optional<Bytes>& value, const std::string& help);
  // "1T", "300B".
  Option& amount(const std::string& name, std::optional<double>& value, const std::string& help);
  // A text that `set` reads; `get` gives it back, or "" for none.
  Option& text(const std::string& name, const std::string& placeholder, const std::string& help,
               std::function<void(const std::string& text, const std::string& shown)> set,
               std::function<std::string()> get);
  // "25GB/s", "200Gb/s".
  Option& bandwidth(const std::string& name, std::optional<Bandwidth>& value,
                    const std::string& help);
  Option& count(const std::string& name, int& value, Counts bounds, const std::string& help);
  Option& count(const std::string& name, std::int64_t& value, Counts bounds,
                const std::string& help);
  Option& count(const std::string& name, std::optional<int>& value, Counts bounds,
                const std::string& help);
  Option& count(const std::string& name, std::optional<std::int64_t>& value, Counts bounds,
                const std::string& help);
  Option& seed(const std::string& name, std::uint64_t& value, const std::string& help);
  Option& number(const std::string& name, double& value, Numbers bounds, const std::string& help);
  Option& number(const std::string& name, std::optional<double>& value, Numbers bounds,
                 const std::string& help);
  // Of something that is no variable; `get` says nullopt for none.
  Option& number(const std::string& name, Numbers bounds, const std::string& help,
                 std::function<void(double)> set, std::function<std::optional<double>()> get);
  // One of `choices`; the error names the nearest.
  Option& choice(const std::string& name, std::string& value, const Names& choices,
                 const std::string& help);
  // `set` gets one of the choices; `get` gives one, or "" for none.
  Option& choice(const std::string& name, const Names& choices, const std::string& help,
                 std::function<void(const std::string&)> set, std::function<std::string()> get);
  // The name of an enum's value.
  template <NamedEnum E>
  Option& choice(const std::string& name, E& value, const std::string& help) {
    return enum_choice<E>(
        name, help, [&value](E chosen) { value = chosen; }, [&value] { return enum_text(value); });
  }
  template <NamedEnum E>
  Option& choice(const std::string& name, std::optional<E>& value, const std::string& help) {
    return enum_choice<E>(
        name, help, [&value](E chosen) { value = chosen; },
        [&value] { return value ? enum_text(*value) : std::string(); });
  }
  // "--name true" or "--name false".
  Option& on_off(const std::string& name, bool& value, const std::string& help);
  // "--name": true when given.
  Option& flag(const std::string& name, bool& value, const std::string& help);
  // "17,17,3".
  Option& counts(const std::string& name, std::vector<int>& value, Counts bounds,
                 const std::string& help);
  Option& numbers(const std::string& name, std::vector<double>& value, Numbers bounds,
                  const std::string& help);
  // Given again and again; each is kept as it is.
  Option& texts(const std::string& name, std::vector<std::string>& value, const std::string& help,
                const std::string& placeholder);

  // Behind these, under their own headings.
  void append(const OptionList& more);
  // All but those: for a command that has others of these names.
  OptionList without(const Names& names) const;
  const std::vector<Option>& all() const { return options_; }
  const Option* find(const std::string& python_name) const;

  // Keyword arguments of Python, as JSON: values of the options' own types, null for what is not
  // given. ConfigError for a wrong one, or a name that no option has, naming the nearest.
  void read(const Json& arguments, const std::string& source) const;
  // The first option of the heading that `arguments` give, as "tp_degree"; empty: none.
  std::string given_of(const Json& arguments, const std::string& heading) const;
  // {"seq_length": 1024, ...} of those under the headings, in the order of the list; without what
  // has no value.
  OrderedJson record(const std::vector<std::string>& headings) const;
  // For Python's signatures and the docs: name, type, default, help, group of each.
  OrderedJson describe() const;

 private:
  template <NamedEnum E>
  Option& enum_choice(const std::string& name, const std::string& help, std::function<void(E)> set,
                      std::function<std::string()> get) {
    return choice(
        name, enum_names<E>(), help,
        [set = std::move(set)](const std::string& text) { set(*find_enum<E>(text)); },
        std::move(get));
  }
  Option& add(Option option);

  std::string group_ = "Options";
  std::vector<Option> options_;
};

// "17,17,3" in its parts; an empty text is one empty part.
std::vector<std::string> split_list(const std::string& text, char separator = ',');

}  // namespace galvatron
