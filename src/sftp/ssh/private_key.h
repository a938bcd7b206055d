// Private key files, looked into before they are used, so that what is wrong with one can be said.
#pragma once

#include <string>

#include "ferry/base/file.h"

namespace ferry::sftp {

struct PrivateKey {
  std::string text;  // the file's content
  bool encrypted = false;
  bool is_rsa = false;
  bool is_in_hardware = false;  // sk-…: a security key has what is secret
};

/// kDenied: it is encrypted, and PASSPHRASE is empty. The message says what is wrong with the file
/// and does not name it.
Result<PrivateKey> load_private_key(const fs::path& file, const std::string& passphrase);

/// What can be told of the key in FILE without a passphrase; nothing else is set.
PrivateKey look_at_private_key(const fs::path& file);

}  // namespace ferry::sftp
