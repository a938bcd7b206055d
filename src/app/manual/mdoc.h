// Manual pages in the mdoc language: https://mandoc.bsd.lv/man/mdoc.7.html
#pragma once

#include <string>
#include <string_view>

namespace ferry::app::manual {

class Mdoc {
 public:
  /// DATE as mdoc writes it: "November 24, 2026".
  Mdoc(std::string_view title, int section, std::string_view date);

  void name(std::string_view name, std::string_view summary);
  void section(std::string_view title);
  void subsection(std::string_view title);

  /// Text that flows, each sentence on a line of its own.
  void prose(std::string_view text);
  void new_paragraph();
  /// Text that stays as it is.
  void literal(std::string_view text);
  /// New paragraphs, separated by empty lines. One that is laid out with spaces stays as it is.
  void paragraphs(std::string_view text);

  void begin_list();
  void end_list();
  /// --NAME METAVAR; a switch has no metavar.
  void option_item(std::string_view name, std::string_view metavar);
  void item(std::string_view macro, std::string_view text);

  /// A line of the language itself: the caller escapes.
  void macro(std::string_view line);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// TEXT as part of a macro line or of a text line.
std::string escaped(std::string_view text);

}  // namespace ferry::app::manual
