#include "metastore/path_rules.h"

#include <algorithm>

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
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part == "..") return "leads out of the landing area";
    if (part.empty() || part == ".") return "has a part that is empty, or '.'";
    start = end + 1;
  }
  return {};
}

std::string_view id_problem(std::string_view id) {
  if (id.size() > kMaxId) return "is longer than 200 bytes";
  if (id == "." || id == ".." || id.find('/') != std::string_view::npos) {
    return "is a path";
  }
  const auto is_control = [](char character) {
    return static_cast<unsigned char>(character) < 0x20 || character == '\x7F';
  };
  if (std::ranges::any_of(id, is_control)) return "has control characters";
  return {};
}

}  // namespace ferry::metastore
