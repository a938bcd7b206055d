// What a path in file_registry must be.
#pragma once

#include <string_view>

namespace ferry::metastore {

/// What is wrong with PATH; empty where nothing is.
std::string_view path_problem(std::string_view path);

}  // namespace ferry::metastore
