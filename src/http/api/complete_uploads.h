// How an upload of which all bytes have come becomes a file, at once or late.
#pragma once

#include "http/api/api.h"
#include "http/api/staged_file.h"

namespace ferry::http {

/// Nobody has gone on with it for too long.
bool has_expired(const Context& context, const StagedUpload& upload);

/// For good.
Answer<void> remove_upload(const Context& context, StagedUpload& upload);

/// A complete upload, whose lock the caller has, becomes a file, once. IS_LATE: not at once when it
/// was complete. It may have become one then; and what came since it does not replace: it is given
/// up.
Answer<void> land(const Context& context, StagedUpload& upload, const landing::LandingArea& area,
                  bool is_late);

}  // namespace ferry::http
