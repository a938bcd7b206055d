// Paths as the tables, landing areas and servers write them: names with '/' between them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// What follows the last '/' of PATH; all of it if there is none.
std::string_view base_name(std::string_view path);

/// What precedes the last '/' of PATH; empty if there is none.
std::string_view directory_of(std::string_view path);

/// The same as somebody opens it: "." for a bare name, "/" for a name at the root.
std::string parent_of(std::string_view path);

/// NAME in the directory that PATH lies in.
std::string beside(std::string_view path, std::string_view name);

/// The names of a path one after the other, as they are: also "", "." and "..".
///
///   for (Components names(path); const auto name = names.next();) …
class Components {
 public:
  explicit Components(std::string_view path) : rest_(path) {}

  std::optional<std::string_view> next();

 private:
  std::optional<std::string_view> rest_;  // nothing: the last one was given
};

/// PATH without what tells nothing: empty names, ".", and ".." with the name before it; "." if
/// nothing is left. By its letters alone: behind a symbolic link ".." leads elsewhere.
std::string normal_path(std::string_view path);

/// True if TEXT has a character of C0, or DEL: ids, names that people choose and URLs may not. What
/// comes from outside to be looked at is another thing: see text.h.
bool has_control_character(std::string_view text);

}  // namespace ferry
