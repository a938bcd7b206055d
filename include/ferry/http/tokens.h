// Who may ask the service for what: bearer tokens (RFC 6750), in a file that has their SHA-256 and
// not themselves. One JSON object a line:
//
//   {"name":"erp","sha256":"…","upload":["in/erp"],"read":true,"manage":false,
//    "created":"…","expires":null}
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::http {

/// What the bearer of a token may do.
struct Grant {
  std::string name;
  /// "AREA", or "AREA/DIRECTORY" for what lies below it; "*" is every area.
  std::vector<std::string> upload{};
  bool read = false;    // all questions
  bool manage = false;  // retry, resend, quarantine

  bool may_upload(std::string_view area, std::string_view path) const;
  bool operator==(const Grant&) const = default;
};

struct Token {
  Grant grant;
  Checksum sha256;
  Timestamp created;
  std::optional<Timestamp> expires{};
};

/// kNotFound if there is no file; kCorrupt for a line that cannot be read: then nobody is let in.
Result<std::vector<Token>> read_tokens(const fs::path& file);

/// Enters a token and returns its text, which is kept nowhere else. kInvalid if the name is taken.
Result<std::string> new_token(const fs::path& file, Grant grant, std::optional<Timestamp> expires);

/// kNotFound if none has this name.
Result<void> revoke_token(const fs::path& file, std::string_view name);

/// The tokens of a file, as it is at each moment. Thread-safe.
class TokenBook {
 public:
  explicit TokenBook(fs::path file) : file_(std::move(file)) {}

  /// There is a file, or was one, also before we ran: tokens are asked for.
  Result<bool> is_required();
  /// Whose token TEXT is; nothing if it is nobody's, or has expired.
  Result<std::optional<Grant>> find(std::string_view text);
  /// Of the token that is called NAME; nothing if there is none, or it has expired.
  Result<std::optional<Grant>> find_name(std::string_view name);

 private:
  Result<void> refresh();
  void miss();

  const fs::path file_;
  std::mutex mutex_;
  std::optional<FileIdentity> identity_;  // of what was read
  std::vector<Token> tokens_;
  bool is_required_ = false;
  bool is_missed_ = false;  // and has been told so
};

}  // namespace ferry::http
