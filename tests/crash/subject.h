// What a call is about.
#pragma once

#include <climits>

namespace ferry::crash {

/// A path; empty if it cannot be found out.
struct Subject {
  char text[PATH_MAX] = "";
};

Subject of_descriptor(int fd);

/// DIRECTORY: as for openat(2).
Subject of_path(int directory, const char* path);
Subject of_path(const char* path);

bool is_internet_socket(int fd);

}  // namespace ferry::crash
