#include "app/manual/mdoc.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace ferry::app::manual {
namespace {

std::string upper_case(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char letter) {
    return static_cast<char>(std::toupper(letter));
  });
  return upper;
}

/// True if a sentence ends before the space at POSITION.
bool ends_sentence(std::string_view text, std::size_t position) {
  if (position == 0) return false;
  const char last = text[position - 1];
  return last == '.' || last == '?' || last == '!';
}

/// Breaks TEXT after each sentence, as the language wants it, and before lines get too long.
std::string wrapped(std::string_view text) {
  constexpr std::size_t kWidth = 76;
  std::string out;
  std::size_t line_begins = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool space = text[i] == ' ' || text[i] == '\n';
    const std::size_t word_ends = std::min(text.find_first_of(" \n", i + 1), text.size());
    if (space && (ends_sentence(text, i) || word_ends - line_begins > kWidth)) {
      out.push_back('\n');
      line_begins = i + 1;
    } else {
      out.push_back(space ? ' ' : text[i]);
    }
  }
  return out;
}

bool is_laid_out(std::string_view paragraph) {
  return paragraph.find("  ") != paragraph.npos;
}

void append_lines(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const bool would_be_a_macro = line.starts_with('.') || line.starts_with('\'');
    out += fmt::format("{}{}\n", would_be_a_macro ? "\\&" : "", escaped(line));
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  bool word_begins = true;
  for (const char letter : text) {
    if (letter == '\\') {
      out += "\\e";
    } else if (letter == '-' && word_begins) {
      out += "\\-";  // an option's: a mere '-' may become a hyphen
    } else {
      out.push_back(letter);
    }
    word_begins = letter == ' ' || letter == '"' || letter == '-';
  }
  return out;
}

Mdoc::Mdoc(std::string_view title, int section, std::string_view date)
    : text_(fmt::format(".\\\" Made from ferry's tables of commands and options.\n"
                        ".Dd {}\n.Dt {} {}\n.Os ferry " FERRY_VERSION "\n",
                        date, upper_case(title), section)) {}

void Mdoc::name(std::string_view name, std::string_view summary) {
  macro(fmt::format(".Sh NAME\n.Nm {}\n.Nd {}", name, escaped(summary)));
}

void Mdoc::section(std::string_view title) {
  macro(fmt::format(".Sh {}", upper_case(title)));
}

void Mdoc::subsection(std::string_view title) {
  macro(fmt::format(".Ss {}\\&", title));
}

void Mdoc::prose(std::string_view text) {
  append_lines(text_, wrapped(text));
}

void Mdoc::new_paragraph() {
  macro(".Pp");
}

void Mdoc::literal(std::string_view text) {
  macro(".Bd -literal -offset indent");
  append_lines(text_, text);
  macro(".Ed");
}

void Mdoc::paragraphs(std::string_view text) {
  while (!text.empty()) {
    const std::string_view paragraph = text.substr(0, text.find("\n\n"));
    text.remove_prefix(std::min(text.size(), paragraph.size() + 2));
    if (is_laid_out(paragraph)) {
      literal(paragraph);
      continue;
    }
    new_paragraph();
    prose(paragraph);
  }
}

void Mdoc::begin_list() {
  macro(".Bl -tag -width Ds");
}

void Mdoc::end_list() {
  macro(".El");
}

void Mdoc::option_item(std::string_view name, std::string_view metavar) {
  std::string line = fmt::format(".It Fl \\-{}", name);
  if (!metavar.empty()) line += fmt::format(" Ar {}", escaped(metavar));
  macro(line);
}

void Mdoc::item(std::string_view macro_name, std::string_view text) {
  macro(fmt::format(".It {} {}", macro_name, escaped(text)));
}

void Mdoc::macro(std::string_view line) {
  text_.append(line).append("\n");
}

}  // namespace ferry::app::manual
