#include <algorithm>

#include "app/commands/command.h"
#include "app/commands/serving.h"
#include "app/config/open_store.h"
#include "app/config/option_values.h"
#include "app/config/setup.h"
#include "app/config/text.h"
#include "app/output.h"
#include "ferry/base/json.h"
#include "ferry/base/text.h"
#include "ferry/http/tokens.h"
#include "ferry/landing/upload.h"

namespace ferry::app {
namespace {

using http::Grant;
using http::Token;

Json to_json(const Token& token) {
  return {{"name", token.grant.name},
          {"upload", token.grant.upload},
          {"read", token.grant.read},
          {"manage", token.grant.manage},
          {"created", format_timestamp(token.created)},
          {"expires", token.expires ? Json(format_timestamp(*token.expires)) : Json()}};
}

std::string to_text(const Token& token) {
  std::string may;
  for (const std::string& scope : token.grant.upload) may += "  upload " + scope;
  if (token.grant.read) may += "  read";
  if (token.grant.manage) may += "  manage";
  std::string line =
      fmt::format("{:<16}  {}{}", token.grant.name, format_timestamp(token.created), may);
  if (token.expires) {
    line += fmt::format("  ({} {})", *token.expires <= now() ? "expired" : "expires",
                        format_timestamp(*token.expires));
  }
  return escape_controls(line) + "\n";
}

Result<std::string> only_name(const Arguments& arguments) {
  if (arguments.positional.size() == 2) return arguments.positional.back();
  return make_error(ErrorKind::kInvalid, "give one NAME: whose token it is");
}

/// A name that stays readable in lists and logs.
Result<void> check_name(const std::string& name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@";
  if (!name.empty() && name.size() <= 64 && name.find_first_not_of(kAllowed) == name.npos) {
    return {};
  }
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a name for a token: letters, digits, '_', '-', '.' and '@'", name);
}

/// A misspelt area would make a token that is good for nothing.
Result<void> check_scope(const std::string& scope, const Settings& settings) {
  if (scope == "*") return {};
  std::vector<std::string_view> names;
  for (const LandingSettings& landing : settings.landings) names.emplace_back(landing.name);
  const std::string area = scope.substr(0, scope.find('/'));
  const bool is_area = !area.empty() && area != "*" && area != "." && area != "..";
  std::string directory = scope.substr(std::min(area.size() + 1, scope.size()));
  if (directory.ends_with('/')) directory.pop_back();
  const auto fit =
      directory.empty()
          ? Result<void>()
          : landing::check_upload_path({.name = area, .path = {}, .ignore = {}}, directory + "/x");
  if (!is_area || !fit || scope == area + "//") {
    return make_error(ErrorKind::kInvalid, "--upload: '{}' is not AREA or AREA/DIRECTORY", scope);
  }
  if (names.empty() || std::ranges::find(names, area) != names.end()) return {};
  return make_error(ErrorKind::kInvalid, "--upload: there is no landing area '{}'{}", area,
                    suggestion(area, names));
}

Result<std::optional<Timestamp>> expiry(const Arguments& arguments) {
  const auto text = arguments.last("expires");
  if (!text) return std::optional<Timestamp>();
  const auto span = Codec<std::chrono::milliseconds>::read(Value(*text), {});
  if (!span) return span.error().with_context("--expires");
  constexpr std::chrono::days kMost{36'500};
  if (span->count() <= 0 || *span > kMost) {
    return make_error(ErrorKind::kInvalid, "--expires: from 1s to {}d, or leave it out",
                      kMost.count());
  }
  return std::optional(now() + *span);
}

Outcome<ExitStatus> make(const Invocation& invocation, const Settings& settings) {
  const Arguments& arguments = invocation.arguments;
  const auto name = only_name(arguments);
  if (!name) return fail(name.error());
  if (const auto checked = check_name(*name); !checked) return fail(checked.error());
  Grant grant{*name, {}, arguments.has("read"), arguments.has("manage")};
  if (const auto scopes = arguments.flags.find("upload"); scopes != arguments.flags.end()) {
    grant.upload = scopes->second;
  }
  for (const std::string& scope : grant.upload) {
    if (const auto checked = check_scope(scope, settings); !checked) return fail(checked.error());
  }
  if (grant.upload.empty() && !grant.read && !grant.manage) {
    return fail(
        make_error(ErrorKind::kInvalid, "a token for nothing: give --upload, --read or --manage"));
  }
  const auto expires = expiry(arguments);
  if (!expires) return fail(expires.error());
  if (settings.serve.tokens.empty()) {
    // Tokens may be wanted before anything else is.
    const auto store = open_store(settings, Access::kCreate);
    if (!store) return std::unexpected(store.error());
  }
  const auto secret = http::new_token(tokens_file(settings), std::move(grant), *expires);
  if (!secret) return fail(secret.error());
  print(*secret + "\n");
  if (flush_output()) return ExitStatus::kDone;
  // Nobody has seen it.
  if (const auto revoked = http::revoke_token(tokens_file(settings), *name); !revoked) {
    return fail(revoked.error());
  }
  return ExitStatus::kSomeFailed;
}

Outcome<ExitStatus> list(const Invocation& invocation, const Settings& settings) {
  const auto tokens = http::read_tokens(tokens_file(settings));
  if (!tokens && tokens.error().kind == ErrorKind::kNotFound) return ExitStatus::kDone;
  if (!tokens) return fail(tokens.error());
  for (const Token& token : *tokens) {
    if (invocation.arguments.has("json")) {
      print_json(to_json(token));
    } else {
      print(to_text(token));
    }
  }
  return ExitStatus::kDone;
}

Outcome<ExitStatus> revoke(const Invocation& invocation, const Settings& settings) {
  const auto name = only_name(invocation.arguments);
  if (!name) return fail(name.error());
  if (const auto revoked = http::revoke_token(tokens_file(settings), *name); !revoked) {
    return fail(revoked.error());
  }
  return ExitStatus::kDone;
}

Outcome<ExitStatus> run_token(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  if (!settings->general.metastore.is_given() && settings->serve.tokens.empty()) {
    return fail(make_error(ErrorKind::kInvalid,
                           "where are the tokens? Give --metastore DIR or --tokens FILE"));
  }
  const std::string& what = invocation.arguments.positional.front();
  if (what == "new") return make(invocation, *settings);
  if (what == "list") return list(invocation, *settings);
  if (what == "revoke") return revoke(invocation, *settings);
  constexpr std::string_view kKnown[] = {"new", "list", "revoke"};
  return fail(make_error(ErrorKind::kInvalid, "unknown action '{}': choose new, list or revoke{}",
                         what, suggestion(what, kKnown)));
}

}  // namespace

Command token_command() {
  return {
      .name = "token",
      .bit = kTokenBit,
      .summary = "say who may ask 'ferry serve' for what",
      .positional = "new|list|revoke [NAME]",
      .min_positional = 1,
      .max_positional = 2,
      .description =
          "'new' prints a token for NAME, once: only its SHA-256 is kept. Who sends it as\n"
          "'Authorization: Bearer TOKEN' may do what the options say. 'list' shows who has one,\n"
          "'revoke' takes it back at once. From the first token on the service asks for tokens,\n"
          "also when the last has been revoked.",
      .flags = {{"upload", "AREA",
                 "new: upload to this landing area; AREA/DIRECTORY: below that; "
                 "'*': to all (may be repeated)"},
                {"read", "", "new: ask all questions"},
                {"manage", "", "new: also retry, resend, and decide about quarantined files"},
                {"expires", "TIME", "new: good for this long, such as 90d"},
                {"json", "", "list: print one JSON object a line"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_token};
}

}  // namespace ferry::app
