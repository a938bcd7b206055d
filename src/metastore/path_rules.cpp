#include "metastore/path_rules.h"

#include "ferry/base/path.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kMaxPath = 4095;  // bytes: PATH_MAX without its NUL
constexpr std::size_t kMaxId = 200;     // leaves room for what is added to it in a file's name

}  // namespace

std::string_view path_problem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.front() == '/') return "is not relative to the landing area";
  if (path.size() > kMaxPath) return "is longer than 4095 bytes";
  if (path.find('\0') != std::string_view::npos) return "has a NUL character";
  for (Components names(path); const auto name = names.next();) {
    if (*name == "..") return "leads out of the landing area";
    if (name->empty() || *name == ".") return "has a part that is empty, or '.'";
  }
  return {};
}

std::string_view id_problem(std::string_view id) {
  if (id.size() > kMaxId) return "is longer than 200 bytes";
  if (id == "." || id == ".." || id.find('/') != std::string_view::npos) {
    return "is a path";
  }
  if (has_control_character(id)) return "has control characters";
  return {};
}

}  // namespace ferry::metastore
