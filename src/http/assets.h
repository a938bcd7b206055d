// The files of src/http/page, which the build puts into the program.
#pragma once

#include <span>
#include <string_view>

namespace ferry::http {

struct Asset {
  std::string_view path;  // of the URL
  std::string_view type;
  std::string_view content;
};

std::span<const Asset> assets();

}  // namespace ferry::http
