// The account that this process runs as.
#pragma once

#include <string>

#include "ferry/base/file.h"

namespace ferry::sftp {

std::string local_user_name();  // empty if there is none
fs::path home_directory();      // $HOME, or what the account says

}  // namespace ferry::sftp
