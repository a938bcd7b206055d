#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "app/config/setup.h"
#include "app/manual/completion.h"
#include "app/manual/completion_words.h"

namespace ferry::app {
namespace {

/// Bash makes words of their own of '=' and of what follows it.
std::vector<std::string> joined(const std::vector<std::string>& words) {
  std::vector<std::string> whole;
  bool goes_on = false;
  for (const std::string& word : words) {
    const bool is_equals = word == "=" && !whole.empty() && whole.back().starts_with("--");
    if (is_equals || goes_on) {
      whole.back() += word;
    } else {
      whole.push_back(word);
    }
    goes_on = is_equals;
  }
  return whole;
}

/// A command line up to the word that is being typed.
class Line {
 public:
  void read(const std::string& word) {
    if (awaited_) {
      take_value(*std::exchange(awaited_, std::nullopt), word);
    } else if (word == "--") {
      has_ended_ = true;
    } else if (word.starts_with("-")) {
      read_option(word);
    } else if (command_.empty()) {
      command_ = word;
    } else {
      ++positional_;
    }
  }

  std::string complete(const std::string& word) {
    if (awaited_) {
      offer_words(awaited_->source, awaited_->choices, word);
    } else if (has_ended_) {
      return {};
    } else if (const auto equals = word.find('='); word.starts_with("--") && equals != word.npos) {
      const auto option = find(word);
      if (option) offer_words(option->source, option->choices, word.substr(equals + 1));
    } else if (word.starts_with("-")) {
      offer_options(word);
    } else if (command_.empty() || command_ == "help") {
      offer_commands(word);
    } else {
      offer_positional(word);
    }
    return std::move(out_);
  }

 private:
  std::vector<OptionWord> options() const {
    std::vector<OptionWord> words;
    const Command* command = find_command(command_);
    if (command != nullptr) words = words_of(*command);
    std::ranges::move(global_words(), std::back_inserter(words));
    return words;
  }

  /// The option that WORD, which may have a value, begins with.
  std::optional<OptionWord> find(std::string_view word) const {
    const auto name = word.substr(2, word.find('=') - 2);
    const auto all = options();
    const auto found = std::ranges::find(all, name, &OptionWord::flag);
    return found == all.end() ? std::nullopt : std::optional(*found);
  }

  void read_option(const std::string& word) {
    const auto option = word.starts_with("--") ? find(word) : std::nullopt;
    if (!option || option->metavar.empty()) return;
    if (const auto equals = word.find('='); equals != word.npos) {
      take_value(*option, word.substr(equals + 1));
    } else {
      awaited_ = option;
    }
  }

  void take_value(const OptionWord& option, const std::string& value) {
    if (option.flag == "config") configuration_.flags["config"] = {value};
  }

  void offer(std::string_view word, std::string_view begun, std::string_view help = {}) {
    if (!word.starts_with(begun)) return;
    out_ += help.empty() ? fmt::format("{}\n", word) : fmt::format("{}\t{}\n", word, help);
  }

  void offer_commands(std::string_view begun) {
    for (const Command& command : commands()) offer(command.name, begun, command.summary);
    if (command_.empty()) offer("help", begun, "tell about a command");
  }

  void offer_options(std::string_view begun) {
    for (const OptionWord& word : options()) {
      offer(fmt::format("--{}", word.flag), begun, word.help);
    }
  }

  void offer_words(ValueSource source, const std::vector<std::string_view>& choices,
                   std::string_view begun) {
    if (source == ValueSource::kFiles) out_ += "/file\n";
    for (const std::string_view choice : choices) offer(choice, begun);
    if (source == ValueSource::kLandings || source == ValueSource::kDestinations) {
      offer_names(source, begun);
    }
    const bool are_directories =
        source == ValueSource::kDirectories || source == ValueSource::kLandings;
    if (are_directories) out_ += "/directory\n";
  }

  /// Of the configuration, if there is one that can be read.
  void offer_names(ValueSource source, std::string_view begun) {
    const auto settings = effective_settings(configuration_);
    if (!settings) return;
    if (source == ValueSource::kLandings) {
      for (const LandingSettings& landing : settings->landings) offer(landing.name, begun);
    } else {
      for (const std::string& name : settings->configured_destinations) offer(name, begun);
    }
  }

  void offer_positional(std::string_view begun) {
    const Command* command = find_command(command_);
    if (command == nullptr) return;
    const PositionalWords words = positional_words(*command);
    if (words.source == ValueSource::kNone) return offer_options(begun);
    if (words.source == ValueSource::kChoices && positional_ > 0) return;
    offer_words(words.source, words.choices, begun);
  }

  std::string command_;
  std::size_t positional_ = 0;
  bool has_ended_ = false;
  std::optional<OptionWord> awaited_;  // its value is the next word
  Arguments configuration_;
  std::string out_;
};

}  // namespace

std::string completions(const std::vector<std::string>& words) {
  const auto whole = joined(words);
  if (whole.empty()) return {};
  Line line;
  for (const std::string& word : std::span(whole).first(whole.size() - 1)) line.read(word);
  return line.complete(whole.back());
}

}  // namespace ferry::app
