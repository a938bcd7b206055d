// Text from outside, made fit for people to look at.
//
// Names, error texts of servers and what programs write come from strangers. On a terminal a
// control character moves the cursor, hides what was there or answers in our name; a bidirectional
// override (Unicode Technical Report 36, 2.4) makes "exe.csv" of what ends in ".exe". Whatever
// came from outside goes through one of these functions before it reaches a log line or a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ferry {

/// The length of the well-formed UTF-8 sequence (RFC 3629) that TEXT, which is not empty, starts
/// with; 0: it does not start with one.
std::size_t utf8_sequence(std::string_view text);

/// True for code points that people do not see and terminals obey: C0, DEL, C1, the separators of
/// lines and paragraphs, and what changes the direction of writing.
bool is_control(char32_t point);

/// TEXT with each control as \xNN or \uNNNN, and each byte that is not UTF-8 as \xNN.
std::string escape_controls(std::string_view text);

/// The same for JSON: controls inside its strings become \uNNNN, so that it means what it meant.
/// TEXT is UTF-8.
std::string escape_controls_in_json(std::string text);

/// One short line of what a server or a program said: TEXT, escaped and cut to what a log line
/// bears.
std::string excerpt(std::string_view text);

}  // namespace ferry
