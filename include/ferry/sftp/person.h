// The person who runs the program, if there is one: asked about host keys, and for what a login
// wants and nobody has given.
#pragma once

#include <memory>
#include <string>

#include "ferry/base/file.h"

namespace ferry::sftp {

/// Called on the threads that connect, several perhaps.
class Person {
 public:
  virtual ~Person() = default;
  /// Whether KEY, its type and fingerprint, is the one of HOST, which no file of known hosts tells.
  /// Then it is added to the first of them.
  virtual bool accepts_host_key(const std::string& host, const std::string& key) = 0;
  // Empty: no answer.
  virtual std::string passphrase(const fs::path& key) = 0;
  virtual std::string password(const std::string& account) = 0;
};

/// The process's. By libssh2 only: ssh(1) asks for itself. To be called before there are other
/// threads; null, as without a call: nobody is there.
void set_person(std::unique_ptr<Person> person);
Person* person();

}  // namespace ferry::sftp
