#include "ferry/http/tokens.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>

#include "ferry/base/json.h"
#include "ferry/base/lock.h"
#include "ferry/base/log.h"

namespace ferry::http {
namespace {

constexpr std::string_view kPrefix = "ferry_";  // what scanners for leaked secrets look for
constexpr std::size_t kSecretBytes = 32;
constexpr std::chrono::seconds kLockTime{10};
constexpr mode_t kMode = 0600;

std::string to_line(const Token& token) {
  return to_text({{"name", token.grant.name},
                  {"sha256", token.sha256.to_hex()},
                  {"upload", token.grant.upload},
                  {"read", token.grant.read},
                  {"manage", token.grant.manage},
                  {"created", format_timestamp(token.created)},
                  {"expires", token.expires ? Json(format_timestamp(*token.expires)) : Json()}}) +
         "\n";
}

std::optional<Token> parse_token(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto flag = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_boolean() && found->get<bool>();
  };
  Token token;
  token.grant = {text("name"), {}, flag("read"), flag("manage")};
  const auto sha256 = Checksum::parse(text("sha256"));
  if (token.grant.name.empty() || !sha256 || sha256->algorithm != HashAlgorithm::kSha256) {
    return std::nullopt;
  }
  token.sha256 = *sha256;
  for (const Json& scope : json.value("upload", Json::array())) {
    if (!scope.is_string()) return std::nullopt;
    token.grant.upload.push_back(scope.get<std::string>());
  }
  const auto created = parse_timestamp(text("created"));
  if (created) token.created = *created;
  const auto expires = json.find("expires");
  if (expires == json.end() || expires->is_null()) return token;
  // A date that nobody understands must not mean for ever.
  const auto date = parse_timestamp(text("expires"));
  if (!date) return std::nullopt;
  token.expires = *date;
  return token;
}

Result<std::vector<Token>> parse_tokens(std::string_view text, const fs::path& file) {
  std::vector<Token> tokens;
  std::size_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const auto line = text.substr(start, end - start);
    start = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    auto token = parse_token(line);
    if (!token) {
      return make_error(ErrorKind::kCorrupt, "{}: line {} does not describe a token", file.string(),
                        number);
    }
    tokens.push_back(std::move(*token));
  }
  return tokens;
}

/// It stays, and says that there have been tokens, also if FILE is lost.
fs::path lock_of(const fs::path& file) {
  return file.string() + ".lock";
}

Result<FileLock> lock(const fs::path& file) {
  return FileLock::acquire(lock_of(file), kLockTime);
}

bool had_tokens(const fs::path& file) {
  boost::system::error_code ignored;
  return fs::symlink_status(lock_of(file), ignored).type() != fs::file_not_found;
}

Result<std::vector<Token>> read_if_there(const fs::path& file) {
  auto tokens = read_tokens(file);
  if (!tokens && tokens.error().kind == ErrorKind::kNotFound) return std::vector<Token>();
  return tokens;
}

Result<void> write_tokens(const fs::path& file, const std::vector<Token>& tokens) {
  std::string text;
  for (const Token& token : tokens) text += to_line(token);
  return replace_file(file, text, kMode);
}

Result<std::string> random_secret() {
  std::array<unsigned char, kSecretBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return make_error(ErrorKind::kIo, "the system has no random numbers");
  }
  std::string text(kPrefix);
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

bool is_over(const Token& token) {
  return token.expires && *token.expires <= now();
}

}  // namespace

bool Grant::may_upload(std::string_view area, std::string_view path) const {
  return std::ranges::any_of(upload, [&](std::string_view scope) {
    if (scope == "*") return true;
    if (!scope.starts_with(area)) return false;
    scope.remove_prefix(area.size());
    if (scope.empty() || scope == "/") return true;
    if (scope.front() != '/') return false;
    scope.remove_prefix(1);
    while (scope.ends_with('/')) scope.remove_suffix(1);
    return path.size() > scope.size() && path.starts_with(scope) && path[scope.size()] == '/';
  });
}

Result<std::vector<Token>> read_tokens(const fs::path& file) {
  const auto text = read_file(file);
  if (!text) return text.error();
  return parse_tokens(*text, file);
}

Result<std::string> new_token(const fs::path& file, Grant grant, std::optional<Timestamp> expires) {
  const auto held = lock(file);
  if (!held) return held.error();
  auto tokens = read_if_there(file);
  if (!tokens) return tokens.error();
  const bool is_taken = std::ranges::any_of(
      *tokens, [&](const Token& token) { return token.grant.name == grant.name; });
  if (is_taken) {
    return make_error(ErrorKind::kInvalid,
                      "{} has a token already: revoke it, or choose another name", grant.name);
  }
  auto secret = random_secret();
  if (!secret) return secret;
  tokens->push_back({std::move(grant), sha256_of(*secret), now(), expires});
  if (auto written = write_tokens(file, *tokens); !written) return written.error();
  return secret;
}

Result<void> revoke_token(const fs::path& file, std::string_view name) {
  const auto unknown = make_error(ErrorKind::kNotFound,
                                  "no token is called {}: 'ferry token list' shows them", name);
  // A lock beside no file would say that there have been tokens.
  if (const auto there = read_tokens(file);
      !there && there.error().kind == ErrorKind::kNotFound && !had_tokens(file)) {
    return unknown;
  }
  const auto held = lock(file);
  if (!held) return held.error();
  auto tokens = read_if_there(file);
  if (!tokens) return tokens.error();
  const auto removed =
      std::erase_if(*tokens, [&](const Token& token) { return token.grant.name == name; });
  if (removed == 0) return unknown;
  return write_tokens(file, *tokens);
}

Result<bool> TokenBook::is_required() {
  const std::lock_guard lock(mutex_);
  if (auto fresh = refresh(); !fresh) return fresh.error();
  return is_required_;
}

Result<std::optional<Grant>> TokenBook::find(std::string_view text) {
  const Checksum digest = sha256_of(text);
  const std::lock_guard lock(mutex_);
  if (auto fresh = refresh(); !fresh) return fresh.error();
  const Token* found = nullptr;
  for (const Token& token : tokens_) {  // all of them: how long it takes tells nothing
    const bool same = CRYPTO_memcmp(token.sha256.digest.data(), digest.digest.data(),
                                    digest_size(HashAlgorithm::kSha256)) == 0;
    if (same) found = &token;
  }
  if (found == nullptr || is_over(*found)) return std::optional<Grant>();
  return std::optional(found->grant);
}

Result<std::optional<Grant>> TokenBook::find_name(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (auto fresh = refresh(); !fresh) return fresh.error();
  for (const Token& token : tokens_) {
    if (token.grant.name == name && !is_over(token)) return std::optional(token.grant);
  }
  return std::optional<Grant>();
}

void TokenBook::miss() {
  identity_.reset();
  tokens_.clear();
  is_required_ = is_required_ || had_tokens(file_);
  if (!is_required_ || std::exchange(is_missed_, true)) return;
  log::error("tokens are gone",
             {{"file", file_.string()},
              {"next",
               "restore it, or make new ones with 'ferry token new'; without it, and the "
               ".lock beside it, the service is open to this host again once restarted"}});
}

/// Whoever replaces the file gives it another identity. Without it nobody has a token any more, and
/// tokens are asked for as before.
Result<void> TokenBook::refresh() {
  const auto fd = open_regular_file(file_);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) {
    miss();
    return {};
  }
  is_missed_ = false;
  // Any other error leaves open whether there is one.
  const bool is_there =
      fd || fd.error().kind == ErrorKind::kDenied || fd.error().kind == ErrorKind::kInvalid;
  if (is_there) is_required_ = true;
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), file_);
  if (!status) return status.error();
  const FileIdentity identity = identity_of(*status);
  if (identity_ == identity) return {};
  std::string text(identity.size, '\0');
  const auto count =
      pread_full(fd->get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0, file_);
  if (!count) return count.error();
  text.resize(*count);
  auto tokens = parse_tokens(text, file_);
  if (!tokens) return tokens.error();
  tokens_ = std::move(*tokens);
  identity_ = identity;
  // Of one that somebody else has put here. Where we may not write, nobody but its owner removes
  // it.
  if (!had_tokens(file_)) [[maybe_unused]]
    const auto noted = FileLock::try_acquire(lock_of(file_));
  return {};
}

}  // namespace ferry::http
