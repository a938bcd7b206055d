#include "landing/register/metastore_trouble.h"

#include "ferry/base/log.h"

namespace ferry::landing {

bool may_pass(std::string_view purpose, const Error& error, bool retry, Mailbox& mailbox) {
  if (retry && is_retryable(error.kind)) return true;
  mailbox.post_failure({Origin::kMetastore, error.with_context(purpose)});
  return false;
}

bool unanswered_for_now(const Error& error, bool retry, Mailbox& mailbox) {
  constexpr std::string_view kPurpose = "look for what is registered";
  if (!may_pass(kPurpose, error, retry, mailbox)) return false;
  log::error(
      "metastore not readable",
      {{"purpose", kPurpose}, {"reason", error.message}, {"next", "tried again until it works"}});
  return true;
}

}  // namespace ferry::landing
