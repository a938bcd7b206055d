// A directory of a test's own, gone with it.
#pragma once

#include <stdlib.h>

#include <boost/filesystem/operations.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ferry/base/file.h"

namespace ferry::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "ferry-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    boost::system::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }
  fs::path operator/(std::string_view relative) const { return path_ / std::string(relative); }

 private:
  fs::path path_;
};

}  // namespace ferry::testing
