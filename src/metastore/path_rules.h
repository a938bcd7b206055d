// What paths and ids in the tables must be.
#pragma once

#include <string_view>

namespace ferry::metastore {

/// What is wrong with PATH; empty if nothing is.
std::string_view path_problem(std::string_view path);

/// The same for an id, which becomes part of the names of files.
std::string_view id_problem(std::string_view id);

}  // namespace ferry::metastore
